// Head of the page and the ranking.

const done = study.trials.filter(trial => trial.state === 'done');
const failed = study.trials.filter(trial => trial.state === 'failed');
const total = name => study.trials.reduce((sum, trial) => sum + (trial[name] ?? 0), 0);

function answer() {
  if (measured.length === 0) return h('p', {class: 'answer'}, 'No trial has finished yet, so there is nothing to rank.');
  const [first, second] = measured;
  const text = [h('strong', {}, first.label), ' has the lowest causal validation loss: ', h('strong', {}, lossText(first)), ' nats per token',
    first.loss.count > 1 ? ` (mean of ${plural(first.loss.count, 'seed')} ± their standard deviation)` : ' (one seed)', '. '];
  if (second) {
    const apart = measured.slice(1).filter(variant => variant.gap.verdict === 'clear').length;
    text.push(study.spread
      ? behind(measured.length - 1, apart)
      : 'Every variant ran with one seed, so nothing here says how much of a difference is chance.');
  }
  return h('p', {class: 'answer'}, text);
}

function behind(others, apart) {
  if (others === 1) return apart ? 'The other variant is behind it by more than the spread over seeds.' : 'The other variant cannot be told apart from it: the difference is within the spread over seeds.';
  if (apart === others) return `Each of the ${others} other variants is behind it by more than the spread over seeds.`;
  if (apart === 0) return `None of the ${others} other variants can be told apart from it: all differences are within the spread over seeds.`;
  return `${apart} of the ${others} other variants ${apart === 1 ? 'is' : 'are'} behind it by more than the spread over seeds, the other${others - apart === 1 ? '' : ` ${others - apart}`} cannot be told apart from it.`;
}

const lossText = variant => variant.loss.mean.toFixed(4) + (variant.loss.count > 1 ? ' ± ' + variant.loss.spread.toFixed(4) : '');

function tile(label, value, more) {
  return h('div', {class: 'tile'}, h('span', {class: 'label'}, label), h('span', {class: 'value'}, value), h('span', {class: 'more'}, more ?? ''));
}

function top() {
  const others = study.trials.length - done.length - failed.length;
  const state = [failed.length ? failed.length + ' failed' : null, others ? others + ' not finished' : null].filter(Boolean).join(', ') || 'none failed';
  return h('header', {class: 'top wrap'},
    h('div', {class: 'line'},
      h('div', {}, h('p', {class: 'kind'}, 'mor · study'), h('h1', {}, study.name), study.description ? h('p', {class: 'lead'}, study.description) : null),
      themeButton()),
    answer(),
    h('div', {class: 'tiles'},
      tile('Trials finished', `${done.length} of ${study.trials.length}`, state),
      tile('Variants', String(study.variants.length), study.axes.length ? 'over ' + study.axes.join(', ') : 'no axis'),
      heldTile(),
      tile('Model FLOPs spent', compact(total('flops')), 'training, forward and backward'),
      tile('Time spent', duration(total('seconds')), 'training alone, all trials added up')));
}

/** What every training had the same of; of two that go together the one that says more. */
function heldTile() {
  const names = study.held.map(each => each.name);
  const shown = study.held.filter(({name}) => !(name === 'tokens' && names.includes('steps')) && !(name === 'paper FLOPs' && names.includes('model FLOPs')));
  const [first, ...more] = [...shown, ...study.held.filter(each => !shown.includes(each))].map(({name, value}) => `${compact(value)} ${name}`);
  return tile('The same for every trial', first ?? 'nothing', more.join(', '));
}

function themeButton() {
  const button = h('button', {type: 'button', class: 'theme', onclick: () => {
    document.documentElement.style.colorScheme = isDark() ? 'light' : 'dark';
    label();
    changed();
  }});
  const label = () => {
    button.textContent = isDark() ? '☀ Light' : '☾ Dark';
    button.setAttribute('aria-label', isDark() ? 'Switch to light colours' : 'Switch to dark colours');
  };
  label();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    label();
    changed();
  });
  return button;
}

// The table

const figure = (variant, name) => variant.figures[name];

/** Columns: key, heading, unit, value to sort by, cell. */
const COLUMNS = [
  {key: 'rank', label: 'Rank', value: variant => variant.rank ?? Infinity, cell: variant => variant.rank ?? none},
  {key: 'variant', label: 'Variant', value: variant => variant.label, cell: variant => variantCell(variant), style: 'variant pin'},
  {key: 'loss', label: 'Causal loss', unit: 'nats/token', value: variant => variant.loss?.mean, cell: variant => (variant.loss ? variant.loss.mean.toFixed(4) : none)},
  {key: 'spread', label: '± spread', unit: 'over seeds', value: variant => variant.loss?.spread, cell: variant => spreadText(variant)},
  {key: 'strip', label: 'Mean, spread, seeds', cell: variant => strip(variant)},
  {key: 'gap', label: 'Behind the best', value: variant => variant.gap?.difference, cell: variant => (variant.gap && variant.rank > 1 ? signed(variant.gap.difference) : none)},
  {key: 'verdict', label: 'Exceeds the spread?', style: 'left', value: variant => VERDICTS[variant.gap?.verdict]?.order, cell: variant => verdict(variant.gap)},
  {key: 'seeds', label: 'Seeds', value: variant => variant.loss?.count, cell: variant => variant.loss?.count ?? 0},
  {key: 'full', label: 'Full-sequence loss', unit: 'not causal', value: variant => figure(variant, 'full-sequence-loss'), cell: variant => fixed(4)(figure(variant, 'full-sequence-loss'))},
  {key: 'perplexity', label: 'Perplexity', value: variant => figure(variant, 'perplexity'), cell: variant => fixed(3)(figure(variant, 'perplexity'))},
  {key: 'bits', label: 'Bits/byte', value: variant => figure(variant, 'bits-per-byte'), cell: variant => fixed(4)(figure(variant, 'bits-per-byte'))},
  {key: 'depth', label: 'Mean depth', value: variant => figure(variant, 'mean-depth'), cell: variant => fixed(3)(figure(variant, 'mean-depth'))},
  {key: 'parameters', label: 'Unique parameters', value: variant => figure(variant, 'parameters'), cell: variant => grouped(figure(variant, 'parameters'))},
  {key: 'flops', label: 'Model FLOPs', unit: 'of training', value: variant => figure(variant, 'model-flops'), cell: variant => compact(figure(variant, 'model-flops'))},
  {key: 'kv', label: 'KV bytes', unit: 'per token', value: variant => figure(variant, 'kv-bytes-per-token'), cell: variant => grouped(figure(variant, 'kv-bytes-per-token'))},
  {key: 'decode', label: 'Decoding', unit: 'tokens/s', value: variant => figure(variant, 'decode-tokens-per-second'), cell: variant => grouped(figure(variant, 'decode-tokens-per-second'))},
  {key: 'seconds', label: 'Time', unit: 'per trial', value: variant => figure(variant, 'seconds'), cell: variant => duration(figure(variant, 'seconds'))},
];

const VERDICTS = {
  best: {order: 0, sign: '●', text: 'the best'},
  within: {order: 1, sign: '≈', text: 'no, within it'},
  unknown: {order: 2, sign: '?', text: 'unknown: one seed'},
  clear: {order: 3, sign: '▲', text: 'yes'},
};

function verdict(gap) {
  if (!gap) return none;
  const {sign, text} = VERDICTS[gap.verdict];
  const why = isNumber(gap.threshold) ? `a difference above ${gap.threshold.toFixed(4)} exceeds the spread` : undefined;
  return h('span', {class: 'verdict ' + gap.verdict, title: why}, h('span', {'aria-hidden': 'true'}, sign), text);
}

function spreadText(variant) {
  if (!variant.loss) return none;
  return variant.loss.count > 1 ? '± ' + variant.loss.spread.toFixed(4) : h('span', {class: 'unit'}, 'one seed');
}

function variantCell(variant) {
  const box = h('input', {type: 'checkbox', 'aria-label': 'Compare ' + variant.label, disabled: !variant.loss, onchange: event => {
    if (!choose(variant, event.target.checked)) {
      event.target.checked = false;
      limit.textContent = `${SLOTS} variants are compared already; take one out first.`;
    } else {
      limit.textContent = '';
    }
  }});
  box.checked = slots.has(variant.number);
  return h('label', {class: 'pick'}, box, swatch(variant), h('span', {}, variant.label));
}

const limit = h('p', {class: 'note', role: 'status'});

const extremes = (() => {
  const all = measured.flatMap(variant => [...variant.loss.seeds, variant.loss.mean - (variant.loss.spread ?? 0), variant.loss.mean + (variant.loss.spread ?? 0)]);
  return {low: Math.min(...all), high: Math.max(...all)};
})();

/** The mean as a dot, the spread as a bar, every seed as a tick, all rows on one scale. */
function strip(variant) {
  if (!variant.loss) return none;
  const width = 150;
  const at = loss => (8 + (width - 16) * ((loss - extremes.low) / (extremes.high - extremes.low || 1))).toFixed(1);
  const {mean, spread, seeds} = variant.loss;
  const slot = slots.get(variant.number);
  const paint = slot === undefined ? 'var(--quiet)' : `var(--series-${slot + 1})`;
  const image = svg('svg', {width, height: 20, viewBox: `0 0 ${width} 20`, role: 'img', 'aria-label': 'loss of each seed: ' + seeds.map(fixed(4)).join(', ')});
  image.append(svg('path', {d: `M0 10H${width}`, style: 'stroke:var(--line)'}));
  if (spread) image.append(svg('path', {d: `M${at(mean - spread)} 10H${at(mean + spread)}`, style: `stroke:${paint};stroke-width:3;opacity:.45`}));
  for (const seed of seeds) image.append(svg('path', {d: `M${at(seed)} 4V16`, style: `stroke:${paint};stroke-width:1.4`}));
  image.append(svg('circle', {cx: at(mean), cy: 10, r: 4, style: `fill:${paint};stroke:var(--surface)`}));
  return image;
}

function ranking() {
  const shown = COLUMNS.filter(column => !column.value || ['rank', 'variant', 'loss'].includes(column.key) || study.variants.some(variant => column.value(variant) !== undefined));
  let sort = {key: 'rank', down: false};
  let wanted = '';
  const head = h('tr', {}, shown.map(column => h('th', {scope: 'col', 'data-key': column.key, class: column.key === 'variant' ? 'left pin' : column.style === 'left' ? 'left' : undefined},
    column.value ? h('button', {type: 'button', onclick: () => {
      sort = {key: column.key, down: sort.key === column.key && !sort.down};
      fill();
    }}, column.label) : column.label,
    column.unit ? h('span', {class: 'unit'}, h('br'), column.unit) : null)));
  const body = h('tbody');
  const count = h('span', {class: 'unit', role: 'status'});
  const fill = () => {
    const column = shown.find(each => each.key === sort.key);
    const rows = study.variants.filter(variant => variant.label.toLowerCase().includes(wanted));
    rows.sort((a, b) => compare(column.value(a), column.value(b)) * (sort.down ? -1 : 1) || a.number - b.number);
    rows.sort((a, b) => (column.value(a) === undefined) - (column.value(b) === undefined)); // what was not measured stands last either way
    for (const cell of head.children) cell.removeAttribute('aria-sort');
    head.querySelector(`[data-key=${sort.key}]`).setAttribute('aria-sort', sort.down ? 'descending' : 'ascending');
    body.replaceChildren(...rows.map(variant => h('tr', {class: variant.rank === 1 ? 'best' : undefined, 'data-variant': variant.number},
      shown.map(each => h(each.key === 'variant' ? 'th' : 'td', {class: each.style, scope: each.key === 'variant' ? 'row' : undefined}, each.cell(variant))))));
    count.textContent = wanted ? `${rows.length} of ${study.variants.length}` : '';
  };
  fill();
  onChange(fill);
  const filter = study.variants.length > 12
    ? h('div', {class: 'controls'}, count, h('label', {class: 'field'}, 'Filter', h('input', {type: 'search', placeholder: 'for example shared', oninput: event => {
      wanted = event.target.value.trim().toLowerCase();
      fill();
    }})))
    : null;
  return section('ranking', 'Ranking', filter,
    h('p', {class: 'note'}, 'By validation loss with the causal selection that generation uses; the full-sequence selection of training sees later tokens and never decides a rank. ', spreadNote(),
      ` The box in front of a variant puts it into the charts below, ${SLOTS} at most.`),
    limit,
    h('div', {class: 'scroll' + (study.variants.length > 30 ? ' tall' : ''), tabindex: 0, role: 'group', 'aria-label': 'Ranking of the variants'}, h('table', {id: 'ranking-table'}, h('thead', {}, head), body)),
    pairs(), effects());
}

function compare(a, b) {
  return typeof a === 'string' ? a.localeCompare(b, 'en', {numeric: true}) : (a ?? 0) - (b ?? 0);
}

function spreadNote() {
  if (!study.spread) return 'No variant has two finished seeds, so the spread over seeds is not known.';
  const {pooled, degrees, quantile} = study.spread;
  return `Spread is the standard deviation over seeds. A difference exceeds it when it is more than ${quantile.toFixed(2)} standard errors, ` +
    `from the standard deviation pooled over all variants (${pooled.toFixed(4)}, ${plural(degrees, 'degree')} of freedom): chance alone does that in 5 % of comparisons.`;
}

function pairs() {
  if (!study.spread || measured.length < 3) return null;
  const shown = measured.slice(0, study.pairs.length);
  return tableBeside(`Every pair${shown.length < measured.length ? ' of the first ' + shown.length : ''}: row minus column`, () => {
    const table = plainTable('Differences of causal loss between pairs of variants', [['Variant', 'variant pin'], ...shown.map(variant => ['#' + variant.rank, ''])],
      shown.map((row, i) => [[`#${row.rank} ${row.label}`, 'variant pin'], ...shown.map((column, j) => {
        if (i === j) return ['·', 'self'];
        const clear = study.pairs[i][j];
        return [signed(row.loss.mean - column.loss.mean) + (clear ? ' ▲' : ''), clear ? 'clear' : ''];
      })]));
    table.querySelector('table').classList.add('pairs');
    return table;
  });
}

/** What one axis does, over everything else. */
function effects() {
  const axes = study.effects.filter(effect => effect.values.length > 1);
  if (study.axes.length < 2 || axes.length === 0) return null;
  return tableBeside('What each axis does: mean loss over all variants with a value (where axes are not crossed, other differences are in it)', () => plainTable('Mean loss by value of each axis',
    [['Axis', 'left'], ['Value', 'left'], ['Mean causal loss', ''], ['Behind the best value', ''], ['Variants', '']],
    axes.flatMap(effect => {
      const best = Math.min(...effect.values.map(value => value.mean));
      return effect.values.map(value => [[effect.axis, 'key'], [value.value, 'left mono'], value.mean.toFixed(4), value.mean === best ? none : signed(value.mean - best), String(value.variants)]);
    })));
}
