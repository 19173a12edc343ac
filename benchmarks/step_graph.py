"""Operations and host transfers of one training step, counted in its graph with and without XLA; runs no step.

Without XLA every operation of the graph is a kernel or a calculation of shapes. With it the step is one call, whose
kernels are the instructions of XLA's optimised program for this machine's device.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.training import FULL, SECTIONS, SMALL
from pipeline import cli
from pipeline.config import Config, option
from pipeline.training import devices

NO_WORK = {"Const", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp", "StopGradient"}
PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
DRAWN_SHAPES = {"Where", "Unique", "UniqueV2", "DynamicPartition", "NonMaxSuppressionV3"}
"""Operations whose output is as long as their values say, which the host has to ask for."""
LOOPS = {"While", "StatelessWhile", "Case", "StatelessCase", "If", "StatelessIf"}
"""Operations whose course the host decides from a value of the device."""
NO_KERNEL = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast"}


@dataclass(frozen=True)
class Options:
    """Size of the step."""

    quick: bool = option(False, "a small network: shows that it works")


def operations(graph) -> Counter:
    """Types of all operations of a ``GraphDef``, those of the functions it calls counted once for each call."""
    functions = {function.signature.name: function for function in graph.library.function}

    def walk(nodes) -> Iterator[str]:
        for node in nodes:
            called = [value.func.name for value in node.attr.values() if value.HasField("func")]
            called += [one.name for value in node.attr.values() for one in value.list.func]
            if not called or node.op in LOOPS:
                yield node.op
            for name in called:
                yield from walk(functions[name].node_def)

    return Counter(walk(graph.node))


def counted(kinds: Counter) -> dict[str, int]:
    """Number of operations that compute, and of those that hand something to the host."""
    kinds = Counter({kind: number for kind, number in kinds.items() if kind not in NO_WORK})
    groups = {"Python functions": PYTHON, "shapes from values": DRAWN_SHAPES, "loops and branches": LOOPS}
    return {"operations": kinds.total()} | {name: sum(kinds[kind] for kind in own) for name, own in groups.items()}


def kernels(program: str) -> Counter:
    """Types of the instructions of an HLO program's entry that compute."""
    entry = program[program.index("\nENTRY ") :].split("\n}")[0].splitlines()[2:]
    found = (re.search(r" = .*? ([a-z][a-z0-9-]*)\(", line) for line in entry)
    return Counter(one[1] for one in found if one and one[1] not in NO_KERNEL)


def measure(config: Config) -> str:
    """Count both; the text has a line for each."""
    devices.prepare(config.replace(xla="on"))  # the other way makes TensorFlow deterministic
    import tensorflow as tf

    from pipeline.training import gradient_descent

    model = gradient_descent.build(config, 1)
    batch = config.train.batch_size
    given = [tf.TensorSpec((batch, width), tf.float32) for width in (config.window.clip_samples, 1)]
    plain = tf.function(lambda *data: model.train_step(data), input_signature=given, autograph=False)
    compiled = tf.function(lambda *data: model.train_step(data), autograph=False, jit_compile=True)
    graph = plain.get_concrete_function().graph.as_graph_def()
    program = compiled.experimental_get_compiler_ir(*given)(stage="optimized_hlo")
    found = kernels(program)
    rows = [f"{number:>7} {name}" for name, number in counted(operations(graph)).items()]
    rows = [f"{config.preset}, batches of {batch}, without XLA:", *rows, "with XLA, one call:"]
    rows += [f"{found.total():>7} instructions: " + ", ".join(f"{n} {kind}" for kind, n in found.most_common())]
    return "\n".join(rows)


def main(argv: list[str] | None = None) -> int:
    """Count the operations of a step and print them."""
    config, options, _ = cli.parse(__doc__.split("\n\n")[0], sections=SECTIONS, options=Options, argv=argv)
    print(measure(config.replace(**FULL | (SMALL if options.quick else {}))))
    return 0


if __name__ == "__main__":
    cli.run(main)
