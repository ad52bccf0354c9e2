// Charts. Each is drawn again when the compared variants or the theme change, once it has been near the window.

const charts = [];

/**
 * A chart that makes its options when it is drawn.
 *
 * @param label what a screen reader says it is
 */
function chart(label, options, small) {
  const box = h('div', {class: 'chart' + (small ? ' small' : ''), role: 'img', 'aria-label': label});
  const each = {box, options, instance: null, seen: false};
  charts.push(each);
  seen.observe(box);
  return box;
}

const seen = new IntersectionObserver(entries => {
  for (const entry of entries) {
    const each = charts.find(candidate => candidate.box === entry.target);
    if (entry.isIntersecting && each && !each.seen) {
      each.seen = true;
      draw(each);
    }
  }
}, {rootMargin: '600px'});

function draw(each) {
  if (!each.seen || !each.box.isConnected) return;
  each.instance ??= echarts.init(each.box, null, {renderer: 'svg'});
  each.instance.setOption({animation: false, textStyle: {fontFamily: getComputedStyle(document.body).fontFamily}, ...each.options()}, {notMerge: true});
}

const drawAll = () => charts.forEach(draw);

function forget(box) {
  const at = charts.findIndex(each => each.box === box);
  if (at < 0) return;
  seen.unobserve(box);
  charts[at].instance?.dispose();
  charts.splice(at, 1);
}

new ResizeObserver(() => charts.forEach(({box, instance}) => {
  if (instance && box.clientWidth > 0 && box.clientWidth !== instance.getWidth()) instance.resize();
})).observe(document.body);
addEventListener('beforeprint', () => charts.forEach(each => {
  each.seen = true;
  draw(each);
}));

const narrow = () => innerWidth < 640;

function axis(name, format, more) {
  return {
    name, nameLocation: 'middle', nameTextStyle: {color: colour('quiet'), fontSize: 12},
    axisLine: {show: true, lineStyle: {color: colour('faint')}}, axisTick: {lineStyle: {color: colour('faint')}},
    axisLabel: {color: colour('quiet'), formatter: format, hideOverlap: true}, splitLine: {lineStyle: {color: colour('line')}}, ...more,
  };
}

const across = (name, format, more) => axis(name, format, {nameGap: 30, splitNumber: narrow() ? 3 : 6, ...more});
const upwards = (name, format, more) => axis(name, format, {nameGap: 46, scale: true, splitNumber: narrow() ? 4 : 6, ...more});

const tooltip = more => ({
  confine: true, backgroundColor: colour('surface'), borderColor: colour('faint'), padding: [8, 10], textStyle: {color: colour('text'), fontSize: 12.5},
  extraCssText: 'border-radius:9px;box-shadow:0 6px 24px rgb(0 0 0 / .22)', ...more,
});

const plot = more => ({left: 62, right: narrow() ? 14 : 24, top: 16, bottom: 48, ...more});

/** A tooltip: a title and rows of [variant or null, name, value]. */
function tip(title, rows) {
  return h('div', {class: 'tip'}, h('b', {}, title),
    h('table', {}, rows.map(([variant, name, value]) => h('tr', {}, h('td', {}, variant ? swatch(variant) : null), h('td', {}, name), h('td', {}, value)))));
}

// Loss curves

const STEPS = {
  step: ['optimizer steps', compact], tokens: ['tokens', compact], flops: ['model FLOPs of training', compact], seconds: ['seconds', value => compact(value)],
};

function curves() {
  if (!study.trials.some(trial => trial.validation.step.length + trial.train.step.length > 0)) return null;
  const state = {x: 'step', what: study.trials.some(trial => trial.validation.step.length > 1) ? 'validation' : 'train', seeds: 'each', y: 'loss'};
  const redraw = () => {
    charts.filter(each => each.box === box).forEach(draw);
    renew();
    table.refresh();
  };
  const set = name => value => {
    state[name] = value;
    redraw();
  };
  const all = variant => variant.trials.map(at => study.trials[at]).filter(trial => trial.state !== 'failed' && trial[state.what].step.length > 0).map(trial => trial[state.what]);
  const lines = variant => (state.seeds === 'each' || all(variant).length < 2 ? all(variant) : [meanCurve(all(variant))]);
  const reference = () => {
    const best = measured.find(variant => all(variant).length > 0);
    return best ? lossAt(meanCurve(all(best))) : () => 0;
  };
  let zero = () => 0;
  const points = curve => curve.loss.map((loss, i) => [curve[state.x][i], loss - zero(curve.step[i])]).filter(point => isNumber(point[0]) && isNumber(point[1]));
  const options = () => {
    const chosen = compared();
    const series = [];
    zero = state.y === 'gap' ? reference() : () => 0;
    for (const variant of measured) {
      if (slots.has(variant.number)) continue;
      for (const curve of lines(variant)) {
        series.push({type: 'line', data: points(curve), showSymbol: false, silent: true, z: 1, lineStyle: {width: 1, color: colour('faint'), opacity: 0.55}, tooltip: {show: false}});
      }
    }
    for (const variant of [...chosen].reverse()) {
      const {colour: stroke, dash, symbol} = look(variant);
      for (const curve of lines(variant)) {
        const data = points(curve);
        series.push({type: 'line', name: variant.label, data, symbol, symbolSize: 7, showSymbol: data.length <= 30, z: 3, connectNulls: true,
          itemStyle: {color: stroke}, lineStyle: {color: stroke, width: 2, type: dash}, emphasis: {focus: 'none', lineStyle: {width: 3}}});
      }
    }
    return {
      grid: plot(), xAxis: across(STEPS[state.x][0], STEPS[state.x][1], {type: 'value'}),
      yAxis: upwards(narrow() ? 'nats per token' : state.y === 'gap' ? 'behind the best, nats per token' : 'loss, nats per token', fixed(state.y === 'gap' ? 3 : 2), {type: 'value', ...range()}),
      dataZoom: [{type: 'inside', filterMode: 'none', zoomOnMouseWheel: 'ctrl', moveOnMouseMove: true, preventDefaultMouseMove: false}],
      tooltip: tooltip({trigger: 'axis', axisPointer: {type: 'line', lineStyle: {color: colour('faint')}}, formatter: given => near(given)}), series,
    };
  };
  const near = given => {
    const items = (Array.isArray(given) ? given : [given]).filter(item => item.seriesName && measured.some(variant => variant.label === item.seriesName));
    if (items.length === 0) return '';
    const best = new Map();
    for (const item of items) best.set(item.seriesName, [...(best.get(item.seriesName) ?? []), item.data[1]]);
    const rows = compared().filter(variant => best.has(variant.label)).map(variant => [variant, variant.label, best.get(variant.label)]);
    rows.sort((a, b) => a[2][0] - b[2][0]);
    return tip(`${STEPS[state.x][0]}: ${STEPS[state.x][1](items[0].data[0])}`, rows.map(([variant, label, losses]) => [variant, label, losses.map(fixed(4)).join(' · ')]));
  };
  /** The first losses are so high that nothing could be told apart below them: the axis ends above what is left after a quarter of the way. */
  const range = () => {
    const shown = [];
    for (const variant of measured) {
      for (const curve of lines(variant)) {
        const values = points(curve).map(point => point[1]);
        if (values.length < 4) return {};
        shown.push(...values.slice(Math.floor(values.length / 4)));
      }
    }
    const low = shown.reduce((a, b) => Math.min(a, b), Infinity);
    const high = shown.reduce((a, b) => Math.max(a, b), -Infinity);
    const margin = 0.06 * (high - low);
    if (!(high > low)) return {};
    const round = value => Number(value.toPrecision(3));
    return state.y === 'gap' ? {min: round(low - margin), max: round(high + margin)} : {max: round(high + margin)};
  };
  const box = chart('Loss curves of the compared variants; the table below has the same figures', options);
  const key = h('div');
  const renew = () => {
    const drawn = compared().filter(variant => all(variant).length > 0);
    const others = compared().length - drawn.length;
    key.replaceChildren(legend(drawn), others ? h('p', {class: 'note'}, `${plural(others, 'compared variant')} measure${others === 1 ? 's' : ''} a model that another trained, or ha${others === 1 ? 's' : 've'} no curve.`) : '');
  };
  renew();
  onChange(renew);
  const table = tableBeside('Table of these curves', () => plainTable('Loss over training',
    [['Variant', 'variant pin'], ['Seed', ''], ...[0.1, 0.25, 0.5, 0.75, 1].map(share => [`at ${share * 100} %`, ''])],
    compared().flatMap(variant => variant.trials.map(at => study.trials[at]).filter(trial => trial[state.what].step.length > 0).map(trial =>
      [[variant.label, 'variant pin'], trial.seed, ...[0.1, 0.25, 0.5, 0.75, 1].map(share => fixed(4)(trial[state.what].loss[Math.max(0, Math.ceil(share * trial[state.what].loss.length) - 1)]))])), true));
  onChange(() => table.refresh());
  return section('curves', 'Loss curves', h('div', {class: 'controls'},
    choice('Loss', [['validation', 'Validation'], ['train', 'Training']], state.what, set('what')),
    choice('Scale', [['loss', 'Loss'], ['gap', 'Behind the best']], state.y, set('y')),
    choice('Seeds', [['each', 'Each seed'], ['mean', 'Mean of seeds']], state.seeds, set('seeds'))),
    h('div', {class: 'controls'}, choice('Against', [['step', 'Steps'], ['tokens', 'Tokens'], ['flops', 'FLOPs'], ['seconds', 'Time']], state.x, set('x'))),
    key, box,
    h('p', {class: 'note'}, 'Validation losses are of the causal selection. A curve of many points is drawn as means over stretches of steps. The steep beginning is cut off. “Behind the best” subtracts the mean curve of the variant that ranks first. ',
      measured.length > compared().length ? 'Thin grey lines: the variants that are not compared. ' : '', 'Ctrl and the wheel, or two fingers, zoom.'),
    table);
}

/** A curve's loss at any step, straight between its points. */
function lossAt(curve) {
  return step => {
    const next = curve.step.findIndex(each => each >= step);
    if (next <= 0) return next === 0 ? curve.loss[0] : curve.loss.at(-1);
    const share = (step - curve.step[next - 1]) / (curve.step[next] - curve.step[next - 1]);
    return curve.loss[next - 1] + share * (curve.loss[next] - curve.loss[next - 1]);
  };
}

/** Point by point, as far as all seeds got. */
function meanCurve(all) {
  const length = Math.min(...all.map(curve => curve.step.length));
  const mean = name => Array.from({length}, (unused, i) => all.reduce((sum, curve) => sum + curve[name][i], 0) / all.length);
  return Object.fromEntries(['step', 'tokens', 'flops', 'seconds', 'loss'].map(name => [name, mean(name)]));
}

// Loss against cost

const COSTS = {
  'model-flops': ['Model FLOPs', 'model FLOPs of training', compact], parameters: ['Parameters', 'unique parameters', compact],
  'kv-bytes-per-token': ['KV memory', 'KV bytes per token', compact], 'mean-depth': ['Mean depth', 'mean recursions per token', fixed(2)], seconds: ['Time', 'seconds per trial', compact],
};

/** What no other variant beats in both cost and loss, by cost. */
function front(name) {
  const candidates = measured.filter(variant => isNumber(figure(variant, name)))
    .sort((a, b) => figure(a, name) - figure(b, name) || a.loss.mean - b.loss.mean);
  const best = [];
  for (const variant of candidates) if (best.length === 0 || variant.loss.mean < best.at(-1).loss.mean) best.push(variant);
  return best;
}

function pareto() {
  const available = Object.keys(COSTS).filter(name => measured.some(variant => isNumber(figure(variant, name))));
  if (available.length === 0) return null;
  let name = available[0];
  const options = () => {
    const [, title, format] = COSTS[name];
    const best = front(name);
    const placed = measured.filter(variant => isNumber(figure(variant, name)));
    const values = placed.map(variant => figure(variant, name));
    const wide = Math.max(...values) > 20 * Math.min(...values) && Math.min(...values) > 0;
    const point = variant => [figure(variant, name), variant.loss.mean];
    const whiskers = placed.length > 60 ? [] : placed.filter(variant => variant.loss.spread > 0).map(variant => ({
      type: 'line', silent: true, symbol: 'none', z: 2, tooltip: {show: false}, lineStyle: {color: look(variant).colour, width: 1.5, opacity: 0.7},
      data: [-1, 1].map(sign => [figure(variant, name), variant.loss.mean + sign * variant.loss.spread]),
    }));
    return {
      grid: plot(), xAxis: across(title, format, {type: wide ? 'log' : 'value', scale: true, boundaryGap: ['6%', '6%']}),
      yAxis: upwards(narrow() ? 'nats per token' : 'causal loss, nats per token', fixed(3), {type: 'value', boundaryGap: ['8%', '8%']}),
      tooltip: tooltip({trigger: 'item', formatter: item => (item.seriesType === 'scatter' ? describe(measured.find(variant => variant.number === item.data.variant), best) : '')}),
      series: [
        {type: 'line', name: 'Pareto front', step: 'end', data: best.map(point), symbol: 'none', silent: true, z: 1, lineStyle: {color: colour('quiet'), width: 1.5, type: [5, 4]}},
        ...whiskers,
        ...[...placed].reverse().map(variant => {
          const {colour: paint, symbol, chosen} = look(variant);
          return {type: 'scatter', name: variant.label, z: chosen ? 4 : 3, symbol, symbolSize: chosen ? 13 : 8,
            itemStyle: {color: paint, opacity: 1, borderColor: colour('surface'), borderWidth: symbol.startsWith('path') ? 0 : 1},
            label: {show: best.includes(variant) && !narrow() && best.length <= 8, formatter: '#' + variant.rank, position: 'top', color: colour('text'), fontWeight: 600},
            data: [{value: point(variant), variant: variant.number}]};
        }),
      ],
    };
  };
  const describe = (variant, best) => tip(variant.label, [
    [null, 'rank', '#' + variant.rank + (best.includes(variant) ? ', on the Pareto front' : '')], [null, 'causal loss', lossText(variant)],
    ...available.map(each => [null, COSTS[each][1], COSTS[each][2](figure(variant, each))])]);
  const box = chart('Causal loss against cost, with the Pareto front; the table below has the same figures', options);
  const key = h('div');
  const renew = () => key.replaceChildren(legend(compared()));
  renew();
  onChange(renew);
  const sentence = h('p', {class: 'note', role: 'status'});
  const tell = () => {
    const best = front(name);
    sentence.replaceChildren('On the front (dashed; nothing is both cheaper and better): ', best.map(variant => `#${variant.rank} ${variant.label}`).join('; '), '.');
  };
  tell();
  const table = tableBeside('Table of this chart', () => {
    const best = front(name);
    return plainTable('Loss against cost', [['Variant', 'variant pin'], ['Causal loss', ''], ...available.map(each => [COSTS[each][1], '']), ['Pareto front', 'left']],
      measured.map(variant => [[`#${variant.rank} ${variant.label}`, 'variant pin'], lossText(variant), ...available.map(each => COSTS[each][2](figure(variant, each))), [best.includes(variant) ? 'yes' : '', 'left']]), true);
  });
  return section('pareto', 'Loss against cost', choice('Cost', available.map(each => [each, COSTS[each][0]]), name, value => {
    name = value;
    charts.filter(each => each.box === box).forEach(draw);
    tell();
    table.refresh();
  }), key, box, sentence, table);
}

// Depth over training

const recursionsOf = trial => trial.depth.shares[0].length - 1;

function depths() {
  const withDepth = variant => variant.trials.map(at => study.trials[at]).find(trial => trial.depth.step.length > 0 && recursionsOf(trial) > 1);
  const grid = h('div', {class: 'grid'});
  let through = false;
  const fill = () => {
    grid.querySelectorAll('.chart').forEach(forget);
    const shown = compared().filter(withDepth);
    grid.replaceChildren(...shown.map(variant => depthPanel(variant, withDepth(variant), through)));
    empty.hidden = shown.length > 0;
  };
  const empty = h('p', {class: 'empty'}, 'None of the compared variants routes tokens to different depths.');
  fill();
  onChange(fill);
  if (!measured.some(withDepth)) return null;
  return section('depth', 'Depth over training', choice('Shares', [['depth', 'By depth'], ['recursion', 'By recursion']], 'depth', value => {
    through = value === 'recursion';
    fill();
  }),
    h('p', {class: 'note'}, 'For each evaluation on the way: by depth, the share of the validation tokens that left after exactly 1, 2, … recursions; by recursion, the share that went through it. ',
      'With the causal selection; one seed of each compared variant.'),
    empty, grid);
}

/** From shares by depth, 0 to Nr, to the share that went through each recursion, 1 to Nr, or that had each depth. */
const sharesShown = (shares, through) => shares.slice(1).map((share, i) => (through ? shares.slice(i + 1).reduce((sum, each) => sum + each, 0) : share));

function depthPanel(variant, trial, through) {
  const {step, shares} = trial.depth;
  const recursions = recursionsOf(trial);
  const bars = step.length <= 40;
  const name = through ? 'recursion' : 'depth';
  const shown = shares.map(each => sharesShown(each, through));
  const means = shares.map(each => each.reduce((sum, share, depth) => sum + share * depth, 0));
  const options = () => ({
    grid: {left: 44, right: 10, top: 8, bottom: 26},
    xAxis: axis('', at => compact(Number(at)), {type: 'category', data: step, boundaryGap: bars, axisTick: {show: false}, splitLine: {show: false}}),
    yAxis: axis('', value => Math.round(100 * value) + ' %', {type: 'value', max: 1, interval: 0.25}),
    tooltip: tooltip({trigger: 'axis', axisPointer: {type: bars ? 'shadow' : 'line'}, formatter: items => {
      const at = items[0].dataIndex;
      return tip('step ' + grouped(step[at]), [...shown[at].map((share, i) => [null, `${name} ${i + 1}`, percent(share)]), [null, 'mean depth', means[at].toFixed(3)]]);
    }}),
    series: Array.from({length: recursions}, (unused, i) => ({
      type: bars ? 'bar' : 'line', name: `${name} ${i + 1}`, stack: through ? undefined : 'depth', barCategoryGap: through ? '24%' : '12%', barGap: '0%', symbol: 'none',
      lineStyle: {width: through ? 2 : 0, color: depthColour(i + 1).background}, areaStyle: bars || through ? undefined : {opacity: 1},
      itemStyle: {color: depthColour(i + 1).background, borderColor: colour('surface'), borderWidth: bars && !through ? 0.5 : 0}, data: shown.map(each => each[i]),
    })),
  });
  return h('div', {class: 'panel'},
    h('h3', {}, variant.label),
    h('p', {class: 'note'}, `mean depth at the end ${means.at(-1).toFixed(3)} of ${recursions}`),
    chart(`Share of tokens by ${name} over training, ${variant.label}; the table below has the same figures`, options, true),
    depthKey(recursions, name),
    tableBeside('Table', () => plainTable(`Share of tokens by ${name}, ${variant.label}`,
      [['Step', ''], ...Array.from({length: recursions}, (unused, i) => [`${name} ${i + 1}`, '']), ['mean depth', '']],
      step.map((at, i) => [grouped(at), ...shown[i].map(percent), means[i].toFixed(3)]), true)));
}

const depthKey = (recursions, name) => h('span', {class: 'depths'}, name, Array.from({length: recursions}, (unused, i) => h('i', {style: depthStyle(i + 1)}, String(i + 1))));

// What generation costs

function generation() {
  const parts = [['kv-bytes-per-token', 'KV memory', 'bytes per token', 'less is better'], ['decode-tokens-per-second', 'Decoding', 'tokens per second', 'more is better']]
    .filter(([name]) => measured.some(variant => isNumber(figure(variant, name))));
  if (parts.length === 0) return null;
  const grid = h('div', {class: 'grid two'});
  const fill = () => {
    grid.querySelectorAll('.chart').forEach(forget);
    grid.replaceChildren(...parts.map(([name, title, unit, better]) => {
      const shown = compared().filter(variant => isNumber(figure(variant, name)));
      const box = chart(`${title} of the compared variants, ${unit}; the table below has the same figures`, () => bars(name, unit, shown), true);
      box.style.height = 40 + 34 * Math.max(1, shown.length) + 'px';
      return h('div', {class: 'panel'}, h('h3', {}, `${title}, ${unit}`), h('p', {class: 'note'}, better), box);
    }));
    key.replaceChildren(legend(compared()));
  };
  const key = h('div');
  fill();
  onChange(fill);
  return section('generation', 'Memory and speed of generation', null,
    h('p', {class: 'note'}, 'Mean over the seeds. Bytes follow from the cache strategy and the depths that were taken; tokens per second were measured on the machine named below, beside whatever else ran there.'),
    key, grid,
    tableBeside('Table of these charts, all variants', () => plainTable('Memory and speed of generation', [['Variant', 'variant pin'], ...parts.map(([, title, unit]) => [`${title}, ${unit}`, '']), ['Causal loss', '']],
      measured.map(variant => [[`#${variant.rank} ${variant.label}`, 'variant pin'], ...parts.map(([name]) => grouped(figure(variant, name))), lossText(variant)]), true)));
}

function bars(name, unit, shown) {
  return {
    grid: {left: 34, right: 64, top: 4, bottom: 26},
    xAxis: axis('', compact, {type: 'value', splitNumber: narrow() ? 2 : 4}),
    yAxis: axis('', value => value, {type: 'category', inverse: true, data: shown.map(variant => '#' + variant.rank), axisTick: {show: false}}),
    tooltip: tooltip({trigger: 'item', formatter: item => tip(shown[item.dataIndex].label, [[null, unit, grouped(item.value)]])}),
    series: [{
      type: 'bar', barMaxWidth: 22,
      data: shown.map(variant => ({value: figure(variant, name), itemStyle: {color: look(variant).colour, borderRadius: [0, 4, 4, 0]}})),
      label: {show: true, position: 'right', color: colour('text'), formatter: item => compact(item.value)},
    }],
  };
}
