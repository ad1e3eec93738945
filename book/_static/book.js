// The theme makes boxes that scroll reachable by keyboard, once the page has loaded and when the
// window changes. What was folded then and is opened now waits for that as well.
document.addEventListener("click", ({ target }) => {
  if (target.closest(".toggle, details")) window.dispatchEvent(new Event("resize"));
});

// Entries of the bibliography are items of its list: the role that docutils gives them is none.
for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.role = "listitem";
