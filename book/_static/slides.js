// Shows the slides (book/slides.py). Maths is set first, then each slide's type is made as small as
// it takes for nothing to run over the edge.
const SMALLEST = 20; // px, of slides 720 high

function fit(slide) {
  for (let size = 30; size >= SMALLEST; size -= 1) {
    slide.style.fontSize = `${size}px`;
    const inside = [...slide.querySelectorAll("pre, table, mjx-container, .shown")];
    if (slide.scrollHeight <= 720 && [slide, ...inside].every(part => part.scrollWidth <= part.clientWidth + 1)) return;
  }
}

window.addEventListener("load", async () => {
  await MathJax.startup.promise;
  // The speaker's window has no MathJax: there a browser's own maths is shown.
  for (const formula of document.querySelectorAll(".notes mjx-container"))
    formula.replaceWith(formula.querySelector("mjx-assistive-mml math"));
  const slides = document.querySelectorAll(".slides section:not(:has(section))");
  document.querySelector(".reveal").classList.add("measured");
  slides.forEach(fit);
  document.querySelector(".reveal").classList.remove("measured");
  Reveal.on("slidechanged", ({ currentSlide }) => fit(currentSlide)); // widgets are drawn by then
  Reveal.initialize({
    plugins: [RevealNotes],
    width: 1280,
    height: 720,
    margin: 0,
    center: false,
    display: "flex",
    controls: false, // they would cover what stands in the corner
    hash: true,
    slideNumber: "c/t",
    transition: "none",
  });
});
