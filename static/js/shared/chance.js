/** What chance does to a share of days. */

const TAIL = 0.025; // beyond each end of a range

/**
 * Return the range of the share of n days that hold with a probability, 19 times in 20, from the exact binomial distribution.
 * @param {number} n at least 1
 * @param {number} probability between 0 and 1
 * @returns {[number, number]}
 */
export function chanceRange(n, probability) {
  const odds = probability / (1 - probability);
  const mode = Math.floor((n + 1) * probability);
  const weights = Array(n + 1).fill(0); // in units of the mode's
  weights[mode] = 1;
  for (let held = mode; held < n; held++) {
    weights[held + 1] = (weights[held] * odds * (n - held)) / (held + 1);
  }
  for (let held = mode; held > 0; held--) {
    weights[held - 1] = (weights[held] * held) / (odds * (n - held + 1));
  }
  const tail = TAIL * weights.reduce((sum, weight) => sum + weight);
  return [firstOver(weights, tail) / n, (n - firstOver(weights.reverse(), tail)) / n];
}

/** The first place where the sum of the weights is over a limit. @param {number[]} weights @param {number} limit */
function firstOver(weights, limit) {
  let sum = 0;
  return weights.findIndex((weight) => (sum += weight) > limit);
}
