// Enhances a page that is complete without it: values under the pointer and by keyboard, tables that sort and filter, a choice of
// baseline, buttons to copy, a theme to choose. It draws nothing and asks the network for nothing.
(() => {
'use strict';
const all = (query, root = document) => [...root.querySelectorAll(query)];
const make = (name, text, attributes = {}) => {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const button = (text, action) => {
  const element = make('button', text, {type: 'button', class: 'tool'});
  element.addEventListener('click', () => action(element));
  return element;
};

// Numbers as the page writes them.
const digits = value => {
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
};
const scaled = (value, steps) => {
  const [factor, unit] = steps.find(([factor]) => Math.abs(value) >= factor) || steps[steps.length - 1];
  return digits(value / factor) + (unit && ' ' + unit);
};
const THOUSANDS = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']];
const write = {
  'ns': value => scaled(value, [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']]),
  'b': value => scaled(value, [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [1024, 'KiB'], [1, 'B']]),
  'k': value => scaled(value, THOUSANDS) + '/s',
  'n': value => Math.abs(value) >= 1e5 ? scaled(value, THOUSANDS) : String(+value.toFixed(2)),
  '%': value => digits(100 * value) + ' %',
  'x': value => digits(value) + '×',
  'p': value => value <= 0 ? 'least' : 'p' + +(100 * value).toFixed(4),
};
const place = (axis, value) => {
  const clamped = Math.min(Math.max(value, axis.from), axis.to);
  return axis.scale === 'log' ? Math.log10(clamped) : axis.scale === 'tail' ? -Math.log10(1 - clamped) : clamped;
};
const share = (axis, value) =>
  (place(axis, value) - place(axis, axis.from)) / (place(axis, axis.to) - place(axis, axis.from));
const told = (axis, value) =>
  axis.names ? axis.names[Math.round(value)] || '' : write[axis.scale === 'tail' ? 'p' : axis.unit](value);

// Values under the pointer, and by the arrow keys.
const tip = make('div', '', {class: 'tip', role: 'status', 'aria-live': 'polite'});
tip.hidden = true;
document.body.append(tip);
const show = (text, x, y) => {
  tip.textContent = text;
  tip.hidden = !text;
  if (!text) return;
  const left = Math.min(x + 14, innerWidth - tip.offsetWidth - 8);
  tip.style.left = Math.max(8, left) + 'px';
  tip.style.top = Math.max(8, y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 12 : y + 18) + 'px';
};
const isShown = (figure, series) => {
  const toggle = figure.querySelector('.s' + series);
  return !toggle || toggle.checked;
};
const heat = (panel, x, y) => {
  const column = panel.cells.find(cell => x >= cell[0] && x < cell[1]);
  if (!column) return '';
  const bucket = Math.floor(Math.log2(Math.max(y, 1)) * 4);
  const total = column[2].reduce((sum, cell) => sum + cell[1], 0);
  const cell = column[2].find(cell => cell[0] === bucket);
  const range = write.ns(2 ** (bucket / 4)) + ' to ' + write.ns(2 ** ((bucket + 1) / 4));
  const events = cell ? cell[1] : 0;
  return `${column[0].toFixed(1)} to ${column[1].toFixed(1)} s\n${range}\n${events} of ${total} events, ${digits(100 * events / total)} %`;
};
const lines = (figure, chart, panel, x, y) => {
  const near = [];
  for (const [series, points] of panel.tracks) {
    if (!isShown(figure, series)) continue;
    let best = null;
    for (let at = 0; at < points.length; at += 2) {
      const dx = share(panel.x, points[at]) - x, dy = panel.x.names || panel.y.names ? share(panel.y, points[at + 1]) - y : 0;
      const distance = Math.hypot(dx, dy);
      if (!best || distance < best.distance) best = {distance, x: points[at], y: points[at + 1]};
    }
    if (best && best.distance < 0.2) near.push({...best, name: chart.series[series] || ''});
  }
  near.sort((a, b) => a.distance - b.distance);
  if (!near.length) return '';
  if (panel.y.names) return near.slice(0, 1).map(p => `${p.name}: ${told(panel.x, p.x)}`).join('\n');
  return told(panel.x, near[0].x) + '\n' + near.slice(0, 8).map(p => `${p.name}: ${told(panel.y, p.y)}`).join('\n');
};
const hover = (figure, svg, chart, view) => {
  const [, , width] = svg.getAttribute('viewBox').split(' ').map(Number);
  const at = (clientX, clientY) => {
    const box = svg.getBoundingClientRect(), zoom = width / box.width;
    const x = (clientX - box.left) * zoom, y = (clientY - box.top) * zoom;
    const panel = view.panels.find(({box: [left, top, right, bottom]}) => x >= left - 2 && x <= right + 2 && y >= top && y <= bottom);
    if (!panel) return '';
    const [left, top, right, bottom] = panel.box;
    const [fx, fy] = [(x - left) / (right - left), (bottom - y) / (bottom - top)];
    if (!panel.cells.length) return lines(figure, chart, panel, fx, fy);
    const back = (axis, f) => {
      const value = place(axis, axis.from) + f * (place(axis, axis.to) - place(axis, axis.from));
      return axis.scale === 'log' ? 10 ** value : value;
    };
    return heat(panel, back(panel.x, fx), back(panel.y, fy));
  };
  svg.addEventListener('pointermove', event => show(at(event.clientX, event.clientY), event.clientX, event.clientY));
  svg.addEventListener('pointerleave', () => show('', 0, 0));
  // The keys walk along the points of the first series that is shown.
  let step = -1;
  const frame = svg.closest('.plot');
  frame.addEventListener('keydown', event => {
    if (!svg.checkVisibility()) return;
    if (event.key === 'Escape') { show('', 0, 0); frame.blur(); return; }
    const move = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    const panel = view.panels.find(panel => panel.tracks.some(([series]) => isShown(figure, series)));
    if (!move || !panel) return;
    const [, points] = panel.tracks.find(([series]) => isShown(figure, series));
    step = Math.min(Math.max(step + move, 0), points.length / 2 - 1);
    const box = svg.getBoundingClientRect(), zoom = box.width / width;
    const [left, top, right, bottom] = panel.box;
    const x = left + share(panel.x, points[2 * step]) * (right - left);
    const y = bottom - share(panel.y, points[2 * step + 1]) * (bottom - top);
    show(lines(figure, chart, panel, share(panel.x, points[2 * step]), share(panel.y, points[2 * step + 1])), box.left + x * zoom, box.top + y * zoom);
    event.preventDefault();
  });
  frame.addEventListener('blur', () => show('', 0, 0));
};
const data = document.getElementById('sb-data');
for (const chart of data ? JSON.parse(data.textContent).charts : []) {
  const figure = document.getElementById(chart.id);
  chart.views.forEach((view, at) => {
    view.panels.forEach(panel => { if (typeof panel.tracks === 'number') panel.tracks = chart.tracks[panel.tracks]; });
    const svg = document.getElementById(`${chart.id}-${at}`);
    if (figure && svg) hover(figure, svg, chart, view);
  });
}

// Tables: sort by a heading, filter by a word.
const UNITS = {ns: 1, 'µs': 1e3, ms: 1e6, s: 1e9, B: 1, KiB: 1024, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, k: 1e3, M: 1e6, G: 1e9};
const worth = cell => {
  const match = /^[−+-]?[\d.]+(?:e[+-]?\d+)?/.exec(cell.textContent.trim());
  if (!match) return null;
  const [unit] = cell.textContent.trim().slice(match[0].length).trim().split(/[\s/(]/);
  return Number(match[0].replace('−', '-')) * (UNITS[unit] || 1);
};
const sort = (table, column, header) => {
  const down = header.getAttribute('aria-sort') === 'ascending';
  all('th', table).forEach(other => other.removeAttribute('aria-sort'));
  header.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const rows = all('tbody tr', table).map(row => ({row, text: row.cells[column].textContent, value: worth(row.cells[column])}));
  const by = (a, b) => a.value === null || b.value === null ?
    (a.value === null) - (b.value === null) || a.text.localeCompare(b.text, 'en', {numeric: true}) : a.value - b.value;
  rows.sort((a, b) => down ? by(b, a) : by(a, b)).forEach(({row}) => table.tBodies[0].append(row));
};
for (const table of all('table')) {
  all('thead th', table).forEach((header, column) => {
    const inner = make('button', header.textContent, {type: 'button'});
    inner.addEventListener('click', () => sort(table, column, header));
    header.replaceChildren(inner);
  });
  if (table.tBodies[0] && table.tBodies[0].rows.length > 8) {
    const filter = make('input', '', {type: 'search', placeholder: 'filter rows', 'aria-label': 'filter rows'});
    filter.addEventListener('input', () => {
      const word = filter.value.toLowerCase();
      for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(word);
    });
    const tools = make('div', '', {class: 'tools'});
    tools.append(filter);
    table.closest('.scroll').before(tools);
  }
}

// The configuration that others are compared with.
const main = document.getElementById('configurations');
if (main) {
  const rows = [...main.tBodies[0].rows].filter(row => Number(row.dataset.rate) > 0);
  const choice = make('select', '', {id: 'baseline'});
  rows.forEach((row, at) => choice.append(make('option', row.dataset.name, {value: at})));
  choice.addEventListener('change', () => {
    const base = Number(rows[choice.value].dataset.rate);
    rows.forEach(row => { row.querySelector('.ratio').textContent = digits(Number(row.dataset.rate) / base) + '×'; });
  });
  if (rows.length > 1) {
    const tools = make('div', '', {class: 'tools'});
    tools.append(make('label', 'ratio to', {for: 'baseline'}), choice);
    main.closest('.scroll').before(tools);
  }
}

// Buttons beside what can be copied.
for (const block of all('pre.copy')) {
  const copy = button('Copy', async self => {
    try {
      await navigator.clipboard.writeText(block.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(block);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand('copy');
    }
    self.textContent = 'Copied';
    setTimeout(() => { self.textContent = 'Copy'; }, 1500);
  });
  block.before(copy);
}

// Light, dark, or as the system has it.
const THEMES = ['auto', 'light', 'dark'];
let theme = 0;
const head = document.querySelector('header');
const name = () => 'Theme: ' + THEMES[theme];
const themeButton = button(name(), self => {
  theme = (theme + 1) % THEMES.length;
  if (theme) document.documentElement.dataset.theme = THEMES[theme];
  else delete document.documentElement.dataset.theme;
  self.textContent = name();
});
themeButton.id = 'theme';
if (head) head.append(themeButton);

// What is folded is printed too.
let folded = [];
addEventListener('beforeprint', () => { folded = all('details:not([open])'); folded.forEach(one => { one.open = true; }); });
addEventListener('afterprint', () => folded.forEach(one => { one.open = false; }));
// A link to what is folded opens it.
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let one = target && target.closest('details'); one; one = one.parentElement.closest('details')) one.open = true;
};
addEventListener('hashchange', reveal);
reveal();
document.documentElement.dataset.script = 'on';
})();
