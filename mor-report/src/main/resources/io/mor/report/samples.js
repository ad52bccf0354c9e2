// Text coloured by depth.

const bubble = h('div', {class: 'bubble', id: 'bubble', role: 'tooltip', hidden: true});

function samples() {
  if (study.samples.length === 0) return null;
  const perVariant = new Map();
  for (const sample of study.samples) perVariant.set(sample.variant, [...(perVariant.get(sample.variant) ?? []), sample]);
  const order = study.variants.filter(variant => perVariant.has(variant.number));
  const panels = order.slice(0, 2).map(variant => samplePanel(order, perVariant, variant.number));
  return section('samples', 'Text by depth', null,
    h('p', {class: 'note'}, 'Validation text as the trained model reads it, each token on the colour of the number of recursions that it took. Point at a token, tap it, or walk with the arrow keys: the router’s scores for it, recursion by recursion.'),
    h('div', {class: 'grid two'}, panels));
}

function samplePanel(order, perVariant, first) {
  const content = h('div');
  const show = number => content.replaceChildren(...perVariant.get(Number(number)).flatMap(sample => [
    sample.title ? h('p', {class: 'note', style: {margin: '.6rem 0 0'}}, sample.title) : null, depthKey(sample.recursions, 'depth'), sampleText(sample)].filter(Boolean)));
  show(first);
  return h('div', {class: 'panel'}, picker('Variant', order.map(variant => [variant.number, (variant.rank ? `#${variant.rank} ` : '') + variant.label]), first, show), content);
}

function sampleText(sample) {
  const text = h('div', {class: 'sample', tabindex: 0, role: 'group', 'aria-label': 'Text with the depth of each token; arrow keys walk through it', 'aria-describedby': 'bubble'});
  sample.tokens.forEach(([piece, depth], i) => {
    const token = h('span', {class: 'token', 'data-at': i, 'data-depth': depth, style: depthStyle(depth)});
    piece.split(/(\n)/).forEach(part => token.append(...(part === '\n' ? [h('span', {class: 'sign', 'aria-hidden': 'true'}, '↵'), '\n'] : [part])));
    text.append(token);
  });
  let on = null;
  const point = token => {
    on?.classList.remove('on');
    on = token;
    if (!token) {
      bubble.hidden = true;
      return;
    }
    token.classList.add('on');
    explain(sample, Number(token.dataset.at), token);
  };
  text.addEventListener('pointerover', event => event.target.closest('.token') && point(event.target.closest('.token')));
  text.addEventListener('pointerleave', () => point(null));
  text.addEventListener('click', event => point(event.target.closest('.token')));
  text.addEventListener('blur', () => point(null));
  text.addEventListener('keydown', event => {
    const move = {ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity}[event.key];
    if (event.key === 'Escape') point(null);
    if (move === undefined) return;
    event.preventDefault();
    const at = Math.min(Math.max(on ? Number(on.dataset.at) + move : 0, 0), sample.tokens.length - 1);
    const token = text.querySelector(`[data-at="${at}"]`);
    token.scrollIntoView({block: 'nearest'});
    point(token);
  });
  return text;
}

function explain(sample, at, token) {
  const [piece, depth, scores] = sample.tokens[at];
  const visible = piece.replace(/\n/g, '↵').replace(/\t/g, '⇥').replace(/ /g, '␣');
  bubble.replaceChildren(
    h('div', {}, h('code', {}, visible || '(no text)'), ` token ${at + 1}: `, h('b', {}, `depth ${depth} of ${sample.recursions}`)),
    scores.some(isNumber)
      ? h('div', {class: 'scores'}, scores.flatMap((score, i) => (isNumber(score) ? [
        h('span', {}, 'recursion ' + (i + 1)),
        h('div', {class: i + 1 <= depth ? 'track' : 'track stop'}, h('div', {class: 'fill', style: {width: `${Math.max(0, Math.min(1, score / scale(sample))) * 100}%`}})),
        h('span', {}, score.toFixed(4) + (i + 1 <= depth ? ' taken' : ' left')),
      ] : [])))
      : h('div', {class: 'unit'}, 'the router gave no scores'));
  bubble.hidden = false;
  placeBubble(token);
}

/** Above the token, or below where there is no room. */
function placeBubble(token) {
  const place = token.getClientRects()[0];
  const size = bubble.getBoundingClientRect();
  const left = Math.min(Math.max(8, place.left + place.width / 2 - size.width / 2), innerWidth - size.width - 8);
  const above = place.top - size.height - 8;
  bubble.style.left = left + 'px';
  bubble.style.top = (above > 8 ? above : place.bottom + 8) + 'px';
}

/** Scores of a router are between 0 and 1 for most; a larger one sets the scale of its text. */
function scale(sample) {
  sample.scale ??= Math.max(1, ...sample.tokens.flatMap(([, , scores]) => scores.filter(isNumber)));
  return sample.scale;
}

addEventListener('scroll', () => {
  const token = document.querySelector('.token.on');
  if (token && !bubble.hidden) placeBubble(token);
}, {passive: true, capture: true});
