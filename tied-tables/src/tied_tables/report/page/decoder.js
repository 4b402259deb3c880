"use strict";

// The decoder of the model: what a code stands for.
const Decoder = (() => {
  const each = (activate) => (units) => units.map(activate);
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const elu = (x) => (x < 0 ? Math.expm1(x) : x);

  // W. J. Cody, "Rational Chebyshev approximations for the error function", 1969, is exact to more
  // digits than the page needs; the series and the continued fraction below are exact to 1e-12.
  function erf(x) {
    const a = Math.abs(x);
    if (a < 2.5) {
      let term = a;
      let sum = a;
      for (let n = 1; n < 60; n += 1) {
        term *= -(a * a) / n;
        sum += term / (2 * n + 1);
      }
      return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
    }
    let fraction = 0;
    for (let n = 60; n > 0; n -= 1) fraction = n / 2 / (a + fraction);
    return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
  }

  function softmax(units) {
    const largest = Math.max(...units);
    const odds = units.map((x) => Math.exp(x - largest));
    const total = odds.reduce((sum, x) => sum + x, 0);
    return odds.map((x) => x / total);
  }

  /** The activations of the estimator's networks, of all units of a layer. */
  const ACTIVATIONS = {
    elu: each(elu),
    gelu: each((x) => x * 0.5 * (1 + erf(x * Math.SQRT1_2))),
    relu: each((x) => Math.max(x, 0)),
    selu: each((x) => 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * Math.expm1(x) : x)),
    sigmoid: each(sigmoid),
    silu: each((x) => x * sigmoid(x)),
    softplus: each(softplus),
    tanh: each(Math.tanh),
  };

  const made = Data.decoder;
  const read = (texts) => texts && texts.map(Data.readFloats);
  const kernels = made && read(made.kernels);
  const biases = made && read(made.biases);
  const gains = made && read(made.gains);

  /** The features of a row, as the table has them, that a code stands for. */
  function decode(code) {
    let units = Float64Array.from(code);
    for (let layer = kernels.length - 1; layer >= 0; layer -= 1) {
      const kernel = kernels[layer];
      const scaled = units.map((unit, i) => unit * gains[layer][i]);
      const width = scaled.length;
      const next = Float64Array.from(biases[layer]);
      for (let i = 0; i < next.length; i += 1) {
        for (let j = 0; j < width; j += 1) next[i] += kernel[i * width + j] * scaled[j];
      }
      units = next;
      if (layer > 0) {
        units = ACTIVATIONS[made.activation](next);
        units.set(next.subarray(0, made.linear_units));
      }
    }
    const row = Float32Array.from(units, (unit, i) => unit * made.scale[i] + made.shift[i]);
    const [slopes, intercepts, mixtures, frequencies] = made.link;
    for (const [begin, end] of made.parts) {
      const of = [...units.subarray(begin, end)];
      const logits = of.map((unit, i) => unit * slopes[begin + i] + intercepts[begin + i]);
      const shares = end - begin > 1 ? softmax(logits) : logits.map(sigmoid);
      for (let i = begin; i < end; i += 1) {
        row[i] = shares[i - begin] + mixtures[i] * (frequencies[i] - shares[i - begin]);
      }
    }
    return row;
  }

  return { isThere: Boolean(made), decode };
})();
