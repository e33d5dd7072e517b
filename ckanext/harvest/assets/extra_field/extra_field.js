// Shows of the fields that harvesters add to the form of a source those of the chosen type.

// On the radio button of a type: tells its value when it is chosen, and at the beginning if it is.
this.ckan.module("harvest-type-change", function () {
  "use strict";
  return {
    initialize: function () {
      var input = this.el[0], sandbox = this.sandbox;
      var tell = function () {
        if (input.checked) { sandbox.publish("harvest-source-type-select", input.value); }
      };
      input.addEventListener("change", tell);
      // a form extension further down the page is to have subscribed by then
      window.setTimeout(tell, 0);
    }
  };
});

// Around the fields of harvesters; data-module-form-items is {type: [names of its fields]}. A field whose name is not
// of the chosen type is hidden, with the .control-group or .form-group that it is in. Those that no type has stay.
this.ckan.module("harvest-extra-form-change", function () {
  "use strict";
  return {
    options: { formItems: {} },

    initialize: function () {
      this._show = this._show.bind(this);
      this.sandbox.subscribe("harvest-source-type-select", this._show);
    },

    teardown: function () {
      this.sandbox.unsubscribe("harvest-source-type-select", this._show);
    },

    _show: function (type) {
      var items = this.options.formItems || {};
      var owned = [].concat.apply([], Object.keys(items).map(function (key) { return items[key]; }));
      var wanted = items[type] || [];
      this.el[0].querySelectorAll("input, select, textarea").forEach(function (input) {
        var group = input.closest(".control-group, .form-group");
        if (group && owned.indexOf(input.name) !== -1) {
          group.classList.toggle("harvest-other-type", wanted.indexOf(input.name) === -1);
        }
      });
    }
  };
});
