// Loaded before require.js and embed-amd.js (_config.yml), on pages with widgets only.
const VENDOR = new URL("../vendor/widgets/", document.currentScript.src).href;

// Where html-manager looks for its icons' fonts: beside the address of each of its two modules,
// which without this is made of their names.
window.require = {
  paths: {
    "@jupyter-widgets/html-manager": VENDOR + "html-manager",
    "@jupyter-widgets/html-manager/dist": VENDOR.slice(0, -1),
  },
};

// The theme would make drawings of the icons, which html-manager goes on to change as text.
window.FontAwesomeConfig = { observeMutations: false };

// Labels with maths, in $...$ as in Jupyter: html-manager calls MathJax as version 2 was called.
if (window.MathJax) {
  window.MathJax.tex = { inlineMath: [["$", "$"], ["\\(", "\\)"]] };
  window.MathJax.startup = {
    ready() {
      const { startup } = MathJax;
      startup.defaultReady();
      MathJax.Hub = {
        Queue([, , element]) {
          startup.promise = startup.promise.then(() => MathJax.typesetPromise([element]));
        },
      };
    },
  };
}

// What html-manager leaves without a name: handles of sliders, buttons of Play.
const PLAY_BUTTONS = ["Play or pause", "Stop", "Repeat"];
let labels = 0;

function nameControls() {
  for (const handle of document.querySelectorAll('[role="slider"]:not([aria-labelledby])')) {
    const label = handle.closest(".jupyter-widgets").querySelector(".widget-label");
    if (label?.textContent) {
      label.id ||= `widget-label-${labels++}`;
      handle.setAttribute("aria-labelledby", label.id);
    }
  }
  for (const play of document.querySelectorAll(".widget-play")) {
    play.querySelectorAll("button").forEach((button, i) => (button.ariaLabel ||= PLAY_BUTTONS[i]));
  }
}

new MutationObserver(nameControls).observe(document, { childList: true, subtree: true });
