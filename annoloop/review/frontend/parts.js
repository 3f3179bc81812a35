// Where a text is divided: blocks that are drawn on their own, and parts that are answered on their own.

/** Texts of more tokens than this are answered in parts of about as many. */
export const PART = 1500;

const SENTENCE_END = /[.!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964]["'\u201d\u2019\u00bb)\]]*$/;
const endsParagraph = (token) => token[0].includes("\n");
const endsSentence = (token) => SENTENCE_END.test(token[0]);

/**
 * Token indices at which parts begin, [0, ...]; one part where the text is short. Borders are the ends of
 * paragraphs near an even division, else of sentences, else the even division itself.
 */
export function partStarts(tokens, most = PART) {
  const count = Math.ceil(tokens.length / most);
  const size = tokens.length / count;
  const starts = [0];
  for (let part = 1; part < count; part += 1) {
    const ideal = Math.round(part * size);
    const near = (ends) => nearest(tokens, ideal, Math.floor(size / 3), ends);
    starts.push(near(endsParagraph) ?? near(endsSentence) ?? ideal);
  }
  return starts;
}

function nearest(tokens, ideal, reach, ends) {
  for (let step = 0; step <= reach; step += 1) {
    for (const at of [ideal - step, ideal + step]) {
      if (at > 0 && at < tokens.length && ends(tokens[at - 1])) return at;
    }
  }
  return null;
}

/**
 * Stretches of token indices [from, to) drawn as blocks: they end with a line break, at `most` tokens or
 * `characters` (where it can be: after a sentence), after `unbroken` characters without a blank, and where
 * a part begins.
 */
export function blockStretches(tokens, { most = 500, characters = 1800, unbroken = 900, starts = [0] } = {}) {
  const borders = new Set(starts);
  const stretches = [];
  let from = 0;
  let run = 0;
  const close = (to) => {
    if (to > from) stretches.push([from, to]);
    from = to;
    run = 0;
  };
  tokens.forEach((token, index) => {
    if (borders.has(index)) close(index);
    const count = index + 1 - from;
    const length = token[3] - tokens[from][2];
    run = token[1] ? 0 : run + token[3] - token[2];
    const full = count >= most || length >= characters || run >= unbroken;
    const nearlyFull = (count >= most * 0.7 || length >= characters * 0.7 || run >= unbroken * 0.7) && endsSentence(token);
    if (endsParagraph(token) || full || nearlyFull) close(index + 1);
  });
  close(tokens.length);
  return stretches;
}
