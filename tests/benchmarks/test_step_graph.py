"""Operations of a step: counted in a graph and in a program made by hand."""

import numpy as np
import tensorflow as tf

from benchmarks import step_graph


def test_operations_of_functions_count_once_per_call():
    @tf.function
    def twice(x):
        return 2.0 * x

    @tf.function(input_signature=[tf.TensorSpec([4])])
    def step(x):
        x = twice(twice(x))  # two Mul
        x = tf.ensure_shape(tf.numpy_function(np.sort, [x], tf.float32), [4])
        x = tf.cond(x[0] > 0, lambda: x + 1.0, lambda: x - 1.0)
        return tf.boolean_mask(x, x > 0)

    kinds = step_graph.operations(step.get_concrete_function().graph.as_graph_def())
    assert (kinds["Mul"], kinds["AddV2"], kinds["Sub"]) == (2, 1, 1)
    found = step_graph.counted(kinds)
    assert found["operations"] > 7
    assert (found["Python functions"], found["shapes from values"], found["loops and branches"]) == (1, 1, 1)


def test_kernels_are_the_instructions_of_the_entry():
    program = """HloModule jit_step, is_scheduled=true

%fused (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %add.0 = f32[4]{0} add(%p, %p)
}

ENTRY %main (x: f32[4]) -> (f32[4]) {
  %x = f32[4]{0} parameter(0)
  %fusion = f32[4]{0} fusion(%x), kind=kLoop, calls=%fused
  %fft.1 = c64[3]{0} fft(%fusion), fft_type=RFFT
  ROOT %tuple = (f32[4]{0}) tuple(%fusion)
}
"""
    assert step_graph.kernels(program) == {"fusion": 1, "fft": 1}
