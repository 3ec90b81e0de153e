"""A model folder in another form: a traced program, a GGUF file, plain floats. What exporters and quantizers share."""
