// Configs, failures, environment, and the page put together.

function configs() {
  const {keys, values} = study.configs;
  if (keys.length === 0) return null;
  let all = false;
  const holder = h('div');
  const fill = () => {
    const shown = compared().filter(variant => values[variant.number]);
    const columns = shown.length ? shown : study.variants.filter(variant => values[variant.number]).slice(0, SLOTS);
    const of = (variant, i) => values[variant.number][i];
    const rows = keys.map((key, i) => [key, i]).filter(([, i]) => all || columns.some(variant => of(variant, i) !== of(columns[0], i)));
    holder.replaceChildren(rows.length === 0
      ? h('p', {class: 'empty'}, 'These variants have the same config.')
      : plainTable('Configs side by side', [['Key', 'left pin'], ...columns.map(variant => [h('span', {}, variant.rank ? `#${variant.rank} ` : '', variant.label), 'words'])],
        rows.map(([key, i]) => [[key, 'key pin'], ...columns.map((variant, column) => [of(variant, i) ?? none, 'mono words' + (column > 0 && of(variant, i) !== of(columns[0], i) ? ' differs' : '')])]), true));
  };
  fill();
  onChange(fill);
  return section('configs', 'Configs side by side', choice('Keys', [['differing', 'Differences only'], ['all', 'All keys']], 'differing', value => {
    all = value === 'all';
    fill();
  }), h('p', {class: 'note'}, 'Resolved configs of the compared variants, the better first. ≠ marks what differs from the first column. What differs between the seeds of one variant is left out.'), holder);
}

function failures() {
  const others = study.trials.filter(trial => trial.state !== 'done');
  if (others.length === 0) return null;
  return section('failures', failed.length === others.length ? 'Failed trials' : 'Failed and unfinished trials', null,
    h('p', {class: 'note'}, 'They count in no figure above.'),
    plainTable('Failed trials and their causes', [['Trial', 'left'], ['Variant', 'left'], ['Seed', ''], ['State', 'left'], ['Cause', 'left']],
      others.map(trial => [[trial.name, 'mono left'], [study.variants[trial.variant].label, 'words'], trial.seed, [trial.state, 'left'], [trial.cause || none, 'words']]), others.length > 12));
}

function environment() {
  return section('environment', 'Environment', null,
    study.environment.length === 0 ? h('p', {class: 'empty'}, 'Nothing is recorded.') : plainTable('Environment', [['What', 'left'], ['Value', 'left']],
      study.environment.map(({name, values}) => [[name, 'left'], [values.length === 1 ? values[0].value : h('span', {}, values.map(({value, trials}) => h('div', {}, value, h('span', {class: 'unit'}, ` · ${plural(trials, 'trial')}`)))), 'words mono']])),
    study.definition ? h('details', {}, h('summary', {}, 'The study file'), h('pre', {class: 'sample', tabindex: 0}, study.definition)) : null);
}

function bottom() {
  return h('footer', {class: 'wrap'},
    h('p', {}, `Of results up to ${study.updated}. Made ${study.generated} by mor ${study.version}${study.command ? ' with ' : '.'}`, study.command ? h('code', {class: 'mono'}, study.command) : null, study.command ? '.' : null,
      ' This file needs no network and loads nothing; it can be mailed and kept.'),
    h('p', {}, 'Loss is in nats per token of the validation text. Model FLOPs count the matrix products that were really done, head and attention included, times three in training. ',
      'Charts: Apache ECharts 5, Apache License 2.0, in this file.'));
}

const SHORT = {ranking: 'Ranking', curves: 'Curves', pareto: 'Cost', depth: 'Depth', samples: 'Text', generation: 'Generation', configs: 'Configs', failures: 'Failures', environment: 'Environment'};
const parts = [ranking, curves, pareto, depths, samples, generation, configs, failures, environment].map(make => (measured.length || [ranking, configs, failures, environment].includes(make) ? make() : null)).filter(Boolean);
const navigation = h('nav', {class: 'sections', 'aria-label': 'Sections'}, h('div', {class: 'wrap'}, h('ul', {}, parts.map(part => h('li', {}, h('a', {href: '#' + part.id}, SHORT[part.id]))))));
document.getElementById('report').replaceChildren(top(), navigation, h('main', {class: 'wrap'}, parts), bottom(), bubble);
onChange(drawAll);
