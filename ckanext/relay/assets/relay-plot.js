// Draws the table of a figure: the row headers are the x axis, each other column is a series.
// data-module-kind: line, bar or horizontal (bars that lie: room for long names); data-module-stacked: "true" to put the series on each other.
this.ckan.module("relay-plot", function () {
  "use strict";

  // Dark enough on white (3:1), and told apart by those who do not see red and green as different.
  var COLOURS = ["#0072b2", "#d55e00", "#007a59", "#a3477f", "#6f5a00", "#4b4b9e"];
  var DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [1, 4]];
  var MARKS = ["circle", "rect", "triangle", "rectRot", "star", "cross"];

  function number(cell) {
    var value = cell.getAttribute("data-value");
    value = value === null ? cell.textContent.trim() : value;
    return value === "" || isNaN(value) ? null : Number(value);
  }

  function text(cell) {
    return cell.textContent.trim().replace(/\s+/g, " ");
  }

  function read(table) {
    var rows = Array.prototype.slice.call(table.querySelectorAll("tbody tr"));
    var heads = Array.prototype.slice.call(table.querySelectorAll("thead tr:last-child th")).slice(1);
    return {
      labels: rows.map(function (row) { return text(row.cells[0]); }),
      series: heads.map(function (head, column) {
        return {
          label: text(head),
          data: rows.map(function (row) { return row.cells[column + 1] ? number(row.cells[column + 1]) : null; })
        };
      })
    };
  }

  // A bar that lies takes its height, however many there are.
  function heightOf(lying, bars) {
    return !lying || (bars > 3 && bars < 9) ? "" : bars > 8 ? " relay-plot-area-tall" : " relay-plot-area-low";
  }

  function datasets(series, kind) {
    return series.map(function (each, index) {
      var colour = COLOURS[index % COLOURS.length];
      return {
        label: each.label,
        data: each.data,
        borderColor: colour,
        backgroundColor: kind === "bar" ? colour : colour + "33",
        borderWidth: kind === "bar" ? 0 : 2,
        borderDash: kind === "bar" ? [] : DASHES[index % DASHES.length],
        pointStyle: MARKS[index % MARKS.length],
        pointRadius: each.data.length > 60 ? 0 : 3,
        spanGaps: true
      };
    });
  }

  return {
    options: { kind: "line", stacked: false },

    initialize: function () {
      var figure = this.el[0];
      var table = figure.querySelector("table");
      if (!table || !window.Chart) { return; }
      var found = read(table);
      if (!found.labels.length || !found.series.length) { return; }
      this.chart = this._draw(figure, found);
      var details = figure.querySelector("details");
      if (details) { details.open = false; }
    },

    teardown: function () {
      if (this.chart) { this.chart.destroy(); }
    },

    _draw: function (figure, found) {
      var lying = this.options.kind === "horizontal", kind = lying ? "bar" : this.options.kind;
      var stacked = this.options.stacked === true;
      var area = document.createElement("div"), canvas = document.createElement("canvas");
      area.className = "relay-plot-area" + heightOf(lying, found.labels.length);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-labelledby", figure.getAttribute("aria-labelledby"));
      area.appendChild(canvas);
      figure.insertBefore(area, figure.querySelector("details"));
      var names = { stacked: stacked, ticks: { autoSkip: !lying, maxRotation: 45 } };
      var numbers = { stacked: stacked, beginAtZero: true, ticks: { precision: 0 } };
      if (lying) {
        var most = area.clientWidth < 576 ? 18 : 45;
        names.ticks.callback = function (value) {
          var label = this.getLabelForValue(value);
          return label.length > most ? label.slice(0, most - 1) + "\u2026" : label;
        };
      }
      return new window.Chart(canvas, {
        type: kind,
        data: { labels: found.labels, datasets: datasets(found.series, kind) },
        options: {
          animation: false,
          indexAxis: lying ? "y" : "x",
          responsive: true,
          maintainAspectRatio: false,
          locale: document.documentElement.lang || undefined,
          interaction: { mode: "index", axis: lying ? "y" : "x", intersect: false },
          plugins: { legend: { display: found.series.length > 1, labels: { usePointStyle: kind !== "bar" } } },
          scales: lying ? { x: numbers, y: names } : { x: names, y: numbers }
        }
      });
    }
  };
});
