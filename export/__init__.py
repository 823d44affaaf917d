"""The training side: networks, recipes, weights, training, ONNX artefacts and their verification. Needs torch."""
