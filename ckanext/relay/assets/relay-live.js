// A part of a page that asks again and again says nothing of an answer that fails: it asks once more, and a portal that
// is started anew answers then. CKAN 2.12 would show each such answer, a whole page, as a message that pops up.
["htmx:responseError", "htmx:sendError"].forEach(function (name) {
  document.addEventListener(name, function (event) {
    if ((event.target.getAttribute("hx-trigger") || "").startsWith("every ")) {
      event.stopImmediatePropagation();
    }
  }, true);
});
