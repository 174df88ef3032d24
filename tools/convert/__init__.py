"""Makes each shipped ONNX file again from the registry package that its weights come from."""
