"use strict";

// The decoder of the model: what a code stands for.
const Decoder = (() => {
  function sigmoid(x) {
    return 1 / (1 + Math.exp(-x));
  }

  /** The activations of the estimator's networks. */
  const ACTIVATIONS = {
    elu: (x) => (x < 0 ? Math.expm1(x) : x),
    relu: (x) => Math.max(x, 0),
    sigmoid,
    silu: (x) => x * sigmoid(x),
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
    const row = Float32Array.from(
      units,
      (unit, i) => unit * scale[i] + shift[i],
    );
    for (const [begin, end] of decoder.parts) {
      row.set(findShares(units, begin, end), begin);
    }
    return row;
  }

  return { isThere: Boolean(decoder), decode };
})();
