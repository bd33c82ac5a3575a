/**
 * What is checked before anything is timed: that engines which are about to be compared compute the
 * same model. Both continue the same token ids greedily.
 *
 * F32 and F16 weights: all tokens are equal. Quantized weights: the first tokens are, and both texts
 * are sane. There, engines round activations to 8 bits in blocks of different sizes, so that two
 * tokens which are about as likely may change places, and from there on the texts are different.
 */

/** How many tokens are compared. */
export const CHECKED_TOKENS = 48
/** Of quantized weights, how many must be equal. */
const SAME_AT_FIRST = 8

/** How many tokens two texts share from their beginning. */
export function sharedPrefix(a, b) {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return i
  return shorter
}

/**
 * Compares `{ ids, text }` of Cria and of a peer: `{ shared, of, problems }`, problems as sentences;
 * none: the check is passed. `exact`: the weights are F32 or F16.
 */
export function compareTexts(own, other, { exact }) {
  const shared = sharedPrefix(own.ids, other.ids)
  const of = Math.max(own.ids.length, other.ids.length)
  const needed = exact ? of : Math.min(of, SAME_AT_FIRST)
  const problems = []
  if (shared < needed) {
    problems.push(
      `only ${shared} of the first ${needed} tokens are equal: ` +
        `${JSON.stringify(own.text)} and ${JSON.stringify(other.text)}`
    )
  }
  for (const { ids, text } of [own, other]) {
    if (!isSane(ids, text)) problems.push(`no sane text: ${JSON.stringify(text)}`)
  }
  return { shared, of, problems }
}

/** A text of whole characters that is not one token over and over. */
function isSane(ids, text) {
  return text.length > 0 && !text.includes('\uFFFD') && new Set(ids).size >= 4
}
