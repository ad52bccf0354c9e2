// The study as the page's JSON says it; what every part of the page uses.

const study = JSON.parse(document.getElementById('study').textContent);

/** An element. Text only ever enters as text, so nothing that a study holds can become markup. */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Numbers

const isNumber = value => typeof value === 'number' && Number.isFinite(value);
const none = '–';
const fixed = digits => value => (isNumber(value) ? value.toFixed(digits) : none);

/** Three or four significant digits with an SI prefix, for counts that span many powers of ten. */
function compact(value) {
  if (!isNumber(value)) return none;
  const size = Math.abs(value);
  if (size >= 1e21 || (size > 0 && size < 1e-3)) return value.toExponential(2);
  for (const [limit, sign] of [[1e18, 'E'], [1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k']]) {
    const unit = sign === 'k' ? 1e3 : limit;
    if (size >= limit) return significant(value / unit) + '\u00a0' + sign;
  }
  return Number.isInteger(value) || size >= 1000 ? grouped(value) : significant(value);
}

const significant = value => {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
};
const grouped = value => (isNumber(value) ? Math.round(value).toString().replace(/\B(?=(\d{3})+(?!\d))/g, '\u00a0') : none);
const percent = value => (isNumber(value) ? (100 * value).toFixed(1) + ' %' : none);
const signed = value => (isNumber(value) ? (value < 0 ? '−' : '+') + Math.abs(value).toFixed(4) : none);

function duration(seconds) {
  if (!isNumber(seconds)) return none;
  if (seconds < 100) return significant(seconds) + ' s';
  const minutes = seconds / 60;
  if (minutes < 100) return Math.floor(minutes) + ' min ' + Math.round(seconds % 60).toString().padStart(2, '0') + ' s';
  return Math.floor(minutes / 60) + ' h ' + Math.round(minutes % 60).toString().padStart(2, '0') + ' min';
}

const plural = (count, one, many) => grouped(count) + ' ' + (count === 1 ? one : many ?? one + 's');

// Colours. A probe resolves what the style sheet says for the theme that is on.

const probe = h('span', {hidden: true});
document.body.append(probe);

function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const isDark = () => {
  const chosen = document.documentElement.style.colorScheme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
};

/** The largest Nr of the study: a depth has one colour on the whole page, so that models of different Nr can be laid side by side. */
const DEEPEST = Math.max(1, ...study.samples.map(sample => sample.recursions), ...study.trials.map(trial => (trial.depth.shares[0]?.length ?? 1) - 1));

/** Depth 1 to the deepest on a ramp whose lightness changes evenly, so that it also reads without colour: the deeper, the further from the page's own. */
const RAMPS = {
  light: [[254, 238, 178], [160, 214, 140], [64, 170, 150], [42, 120, 156], [62, 72, 148], [66, 28, 102]],
  dark: [[62, 66, 122], [52, 106, 152], [46, 148, 152], [92, 186, 132], [178, 214, 120], [250, 232, 148]],
};

function depthColour(depth) {
  if (depth < 1) return {background: 'transparent', ink: 'inherit'};
  const ramp = RAMPS[isDark() ? 'dark' : 'light'];
  const share = DEEPEST > 1 ? (depth - 1) / (DEEPEST - 1) : 0;
  const at = share * (ramp.length - 1);
  const low = Math.min(Math.floor(at), ramp.length - 2);
  const rgb = ramp[low].map((from, channel) => Math.round(from + (ramp[low + 1][channel] - from) * (at - low)));
  return {background: `rgb(${rgb})`, ink: luminance(rgb) > 0.2 ? '#10131a' : '#ffffff'};
}

function luminance(rgb) {
  const [r, g, b] = rgb.map(value => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function depthStyle(depth) {
  const {background, ink} = depthColour(depth);
  return {'--depth-colour': background, '--depth-ink': ink};
}

// Which variants are compared: at most eight, each with a colour, a dash and a symbol of its own.

const SLOTS = 8;
const DASHES = ['solid', [7, 4], [2, 3], [10, 3, 2, 3], 'solid', [7, 4], [2, 3], [10, 3, 2, 3]];
// The library's own hollow symbols are filled with white; these have a hole, which suits either theme.
const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond',
  'path://M8 0A8 8 0 1 1 8 16A8 8 0 1 1 8 0ZM8 4.4A3.6 3.6 0 1 0 8 11.6A3.6 3.6 0 1 0 8 4.4Z', 'path://M0 0H16V16H0ZM4 4V12H12V4Z',
  'path://M8 0L16 15H0ZM8 7L5 12.2H11Z', 'path://M8 0L16 8L8 16L0 8ZM8 5L5 8L8 11L11 8Z'];
const measured = study.variants.filter(variant => variant.loss);
const slots = new Map(); // variant's number to slot
measured.slice(0, SLOTS).forEach((variant, slot) => slots.set(variant.number, slot));
const listeners = [];

const onChange = listener => listeners.push(listener);
const changed = () => listeners.forEach(listener => listener());

function choose(variant, chosen) {
  if (!chosen) {
    slots.delete(variant.number);
  } else {
    const taken = new Set(slots.values());
    const free = [...Array(SLOTS).keys()].find(slot => !taken.has(slot));
    if (free === undefined) return false;
    slots.set(variant.number, free);
  }
  changed();
  return true;
}

const compared = () => measured.filter(variant => slots.has(variant.number));

function look(variant) {
  const slot = slots.get(variant.number);
  return slot === undefined
    ? {colour: colour('faint'), dash: 'solid', symbol: 'circle', chosen: false}
    : {colour: colour('series-' + (slot + 1)), dash: DASHES[slot], symbol: SYMBOLS[slot], chosen: true};
}

/** A short piece of the variant's line with its symbol. */
function swatch(variant) {
  const slot = slots.get(variant.number);
  const stroke = slot === undefined ? 'var(--faint)' : `var(--series-${slot + 1})`;
  const dash = slot === undefined || DASHES[slot] === 'solid' ? '' : DASHES[slot].join(' ');
  const filled = slot === undefined || slot < 4;
  const shape = slot === undefined ? 0 : slot % 4;
  const fill = filled ? stroke : 'var(--surface)';
  const mark = [
    () => svg('circle', {cx: 14, cy: 7, r: 4}),
    () => svg('rect', {x: 10.3, y: 3.3, width: 7.4, height: 7.4}),
    () => svg('path', {d: 'M14 2.4 18.6 10.8H9.4Z'}),
    () => svg('path', {d: 'M14 1.8 19 7 14 12.2 9 7Z'}),
  ][shape]();
  mark.setAttribute('style', `fill:${fill};stroke:${stroke};stroke-width:1.6`);
  const line = svg('path', {d: 'M1 7H27', 'stroke-dasharray': dash, style: `stroke:${stroke};stroke-width:2;fill:none`});
  const image = svg('svg', {width: 28, height: 14, viewBox: '0 0 28 14', 'aria-hidden': 'true'}, line, mark);
  image.classList.add('swatch');
  return image;
}

const legend = variants => h('ul', {class: 'legend'}, variants.map(variant => h('li', {}, swatch(variant), h('span', {}, variant.label))));

// Controls

/** Buttons of which one is on. */
function choice(name, options, chosen, picked) {
  const group = h('div', {class: 'switch', role: 'group', 'aria-label': name});
  for (const [value, label] of options) {
    group.append(
      h('button', {type: 'button', 'data-value': value, 'aria-pressed': String(value === chosen), onclick: () => {
        for (const button of group.children) button.setAttribute('aria-pressed', String(button.dataset.value === value));
        picked(value);
      }}, label));
  }
  return group;
}

function picker(name, options, chosen, picked) {
  const select = h('select', {onchange: event => picked(event.target.value)}, options.map(([value, label]) =>
    h('option', {value, selected: String(value) === String(chosen)}, label)));
  return h('label', {class: 'field'}, name, select);
}

const section = (id, title, controls, ...content) =>
  h('section', {id, 'aria-labelledby': id + '-title'}, h('div', {class: 'head'}, h('h2', {id: id + '-title'}, title), controls ?? null), ...content);

/** A table that is only made when somebody opens it. */
function tableBeside(summary, make) {
  const details = h('details', {}, h('summary', {}, summary));
  const show = () => {
    details.querySelector('.scroll')?.remove();
    if (details.open) details.append(make());
  };
  details.addEventListener('toggle', show);
  details.refresh = show;
  return details;
}

/** A plain table: a header of [label, class] and rows of cells, each a text, a node or [text, class]. */
function plainTable(caption, header, rows, tall) {
  const cell = (tag, content) => {
    const [inner, style] = Array.isArray(content) ? content : [content, undefined];
    return h(tag, {class: style, scope: tag === 'th' ? 'row' : undefined}, inner);
  };
  return h('div', {class: 'scroll' + (tall ? ' tall' : ''), tabindex: 0, role: 'group', 'aria-label': caption},
    h('table', {},
      h('thead', {}, h('tr', {}, header.map(([label, style]) => h('th', {scope: 'col', class: style}, label)))),
      h('tbody', {}, rows.map(row => h('tr', {}, row.map((content, i) => cell(i === 0 ? 'th' : 'td', content)))))));
}
