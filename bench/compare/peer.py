# SPDX-License-Identifier: Apache-2.0
"""A peer of Tessera as one engine of compare.py (engines.py says what it is told and answers):

    peer.py ort|openvino|torch MODEL.onnx INPUTS.npz THREADS [bf16]

Precision is f32 (OpenVINO's default may be bf16); bf16 is OpenVINO's alone on a CPU."""
import json
import os
import resource
import sys
import time

import numpy as np


def load_ort(model, threads, _):
    """ONNX Runtime with all its graph optimizations."""
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return ort.__version__, lambda inputs: dict(zip(names, session.run(names, inputs)))


def load_openvino(model, threads, precision):
    """OpenVINO for latency: one stream. Its outputs stand in the model's order; a tensor of several
    names has any of them."""
    import onnx
    import openvino as ov
    compiled = ov.Core().compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads})
    request = compiled.create_infer_request()
    names = [o.name for o in onnx.load(model, load_external_data=False).graph.output]

    def run(inputs):
        given = {port: inputs[next(n for n in port.get_names() if n in inputs)]
                 for port in compiled.inputs}
        request.infer(given, share_inputs=True)
        return {name: request.get_output_tensor(k).data for k, name in enumerate(names)}
    return ov.__version__, run


def load_torch(model, threads, _):
    """The model as a graph of PyTorch's operators, compiled by torch.compile with frozen weights,
    both with the first inputs."""
    import onnx
    import torch
    import torch._inductor.config
    import torch_graph
    torch.set_num_threads(threads)
    torch._inductor.config.freezing = True
    outputs = [o.name for o in onnx.load(model, load_external_data=False).graph.output]
    compiled, names = None, None

    def run(inputs):
        nonlocal compiled, names
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        with torch.no_grad():
            if compiled is None:
                graph, names = torch_graph.trace(model, tensors)
                compiled = torch.compile(graph)
            results = compiled(*[tensors[name] for name in names])
        return {name: r.numpy() for name, r in zip(outputs, results)}
    return torch.__version__, run


LOADERS = {"ort": load_ort, "openvino": load_openvino, "torch": load_torch}


def serve(tell, name, model, inputs_file, threads, precision):
    """Loads the model, runs it once and obeys."""
    inputs = dict(np.load(inputs_file))
    start = time.perf_counter()
    version, run = LOADERS[name](model, threads, precision)
    loaded = time.perf_counter()
    run(inputs)  # torch.compile compiles now
    tell({"load_s": loaded - start, "first_run_s": time.perf_counter() - loaded,
          "version": version})
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "run":
            times = []
            for _ in range(order["runs"]):
                start = time.perf_counter()
                run(inputs)
                times.append(1e3 * (time.perf_counter() - start))
            tell({"ms": times})
        elif order["do"] == "save":
            np.savez(order["file"], **run(inputs))
            tell({})
        elif order["do"] == "memory":
            tell({"peak_rss": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss})
        else:
            raise ValueError(f"unknown order {order['do']}")


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with the answers

    def tell(answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    name, model, inputs, threads, *precision = sys.argv[1:]
    try:
        serve(tell, name, model, inputs, int(threads), (precision or ["f32"])[0])
    except Exception as failure:  # the driver reports it and goes on without this peer
        text = str(failure).strip() or type(failure).__name__
        tell({"failed": text.splitlines()[0]})
        sys.exit(1)


if __name__ == "__main__":
    main()
