// Show the report as soon as one of these options is changed, without a click on the button.
document.addEventListener("change", function (event) {
  if (event.target.matches(".js-auto-submit") && event.target.form) {
    event.target.form.submit();
  }
});
