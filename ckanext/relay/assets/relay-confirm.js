// Ask before a form with data-relay-confirm is sent. The question is shown as text, whatever is in it.
document.addEventListener("submit", function (event) {
  var question = event.target.getAttribute("data-relay-confirm");
  if (question && !window.confirm(question)) {
    event.preventDefault();
    event.stopPropagation();
  }
}, true);
