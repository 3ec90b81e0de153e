"""A model folder in another form: a traced program, a GGUF file, plain floats. What exporters and quantizers share."""

__all__ = ["WITHOUT"]

WITHOUT = ("automatic-speech-recognition", "fill-mask", "text-generation", "text2text-generation")
"""Tasks for which no traced program stands: they write word by word, or work with the model's own parts."""
