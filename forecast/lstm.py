"""An LSTM layer that runs all of its time steps in one TensorFlow operation, for the fit on a CPU.

Keras' own layer runs a loop of small operations, 60 steps forward and 60 back: half of an epoch goes into running the loop. The weights,
the forecasts and the gradients are the same as Keras' up to float rounding; tests/forecast/test_network.py compares them.
"""

from typing import Any

import keras
import tensorflow as tf


class BlockLSTM(keras.layers.LSTM):  # type: ignore[misc]  # Keras has no types
    """keras.layers.LSTM with its default options and without masks, on TensorFlow's BlockLSTM."""

    def inner_loop(self, sequences: Any, initial_state: list[Any], mask: Any, training: bool = False) -> tuple[Any, Any, list[Any]]:
        """Run all steps of a batch.

        Args:
            sequences: (n, steps, features) float32.
            initial_state: hidden and cell state, (n, units) each.
            mask: not supported, None.
            training: not used; the layer has no dropout of its own.

        Returns:
            The last output (n, units), all outputs (n, steps, units), and the last hidden and cell state.
        """
        hidden, cell = initial_state
        no_peephole = tf.zeros(self.units)
        # Not BlockLSTMV2, whose gates are in Keras' order: TensorFlow 2.21 has a wrong gradient for it.
        done = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.shape(sequences, out_type=tf.int64)[1],
            x=tf.transpose(sequences, [1, 0, 2]),
            cs_prev=cell,
            h_prev=hidden,
            w=_reorder_gates(tf.concat([self.cell.kernel.value, self.cell.recurrent_kernel.value], axis=0)),
            b=_reorder_gates(self.cell.bias.value),
            wci=no_peephole,
            wcf=no_peephole,
            wco=no_peephole,
            forget_bias=0,  # Keras has it in the bias
            cell_clip=0,  # none
        )
        return done.h[-1], tf.transpose(done.h, [1, 0, 2]), [done.h[-1], done.cs[-1]]


def _reorder_gates(weights: Any) -> Any:
    """Reorder gates along the last axis from Keras (input, forget, cell, output) to BlockLSTM (input, cell, forget, output)."""
    i, f, c, o = tf.split(weights, 4, axis=-1)
    return tf.concat([i, c, f, o], axis=-1)
