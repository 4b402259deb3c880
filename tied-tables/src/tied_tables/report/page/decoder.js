"use strict";

// The decoder of the model: what a code stands for.
const Decoder = (() => {
  // Of formula 7.1.26 of Abramowitz and Stegun, which is exact to 1.5e-7.
  const ERF = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const SELU_SCALE = 1.0507009873554805;
  const SELU_ALPHA = 1.6732632423543772;

  function erf(x) {
    const size = Math.abs(x);
    const t = 1 / (1 + 0.3275911 * size);
    const sum = ERF.reduce((total, factor) => (total + factor) * t, 0);
    return Math.sign(x) * (1 - sum * Math.exp(-size * size));
  }

  function sigmoid(x) {
    return 1 / (1 + Math.exp(-x));
  }

  function elu(x) {
    return x < 0 ? Math.expm1(x) : x;
  }

  /** The activations of the estimator's networks. */
  const ACTIVATIONS = {
    elu,
    gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    relu: (x) => Math.max(x, 0),
    selu: (x) => SELU_SCALE * (x < 0 ? SELU_ALPHA * elu(x) : x),
    sigmoid,
    silu: (x) => x * sigmoid(x),
    softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    tanh: Math.tanh,
  };

  function softmax(units) {
    const largest = Math.max(...units);
    const odds = units.map((x) => Math.exp(x - largest));
    const total = odds.reduce((sum, x) => sum + x);
    return odds.map((x) => x / total);
  }

  const { decoder } = Data;
  const layers = (decoder?.kernels ?? []).map((kernel, layer) => ({
    kernel: Data.readFloats(kernel),
    bias: Data.readFloats(decoder.biases[layer]),
    gain: Data.readFloats(decoder.gains[layer]),
  }));

  /** Multiply units by a kernel, (next units, units), and add the bias. */
  function multiply({ kernel, bias, gain }, units) {
    const next = Float64Array.from(bias);
    const width = units.length;
    units.forEach((unit, j) => {
      const scaled = unit * gain[j];
      for (let i = 0; i < next.length; i += 1) {
        next[i] += kernel[i * width + j] * scaled;
      }
    });
    return next;
  }

  /** The shares of the classes of a part, whose units are logits. */
  function findShares(units, begin, end) {
    const [slopes, intercepts, mixtures, frequencies] = decoder.link;
    const logits = [];
    for (let i = begin; i < end; i += 1) {
      logits.push(units[i] * slopes[i] + intercepts[i]);
    }
    const shares = logits.length > 1 ? softmax(logits) : logits.map(sigmoid);
    return shares.map((share, place) => {
      const i = begin + place;
      return share + mixtures[i] * (frequencies[i] - share);
    });
  }

  /** The features of a row, as the table has them, that a code stands for. */
  function decode(code) {
    let units = Float64Array.from(code);
    for (let layer = layers.length - 1; layer >= 0; layer -= 1) {
      const next = multiply(layers[layer], units);
      units = next;
      if (layer > 0) {
        units = next.map(ACTIVATIONS[decoder.activation]);
        units.set(next.subarray(0, decoder.linear_units));
      }
    }
    const { scale, shift } = decoder;
    const row = Float32Array.from(units, (unit, i) => unit * scale[i] + shift[i]);
    for (const [begin, end] of decoder.parts) {
      row.set(findShares(units, begin, end), begin);
    }
    return row;
  }

  return { isThere: Boolean(decoder), decode };
})();
