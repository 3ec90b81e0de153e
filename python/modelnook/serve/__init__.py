"""A model behind an address: a small HTTP server in a process of its own, that answers whoever has its token.

===========================  ===========================================================================================
``POST /predict``            ``{"inputs": …}``: a text, a list of texts, or rows as objects; ``max_new_tokens`` for
                             what writes. Gives ``{"model", "predictions": [{"label", "score", …}, …]}``, an input each
``POST /v1/chat/completions``  OpenAI's form, for models that write; also ``/v1/completions``, both with ``stream``
``POST /v1/embeddings``      OpenAI's form, for encoders
``GET /v1/models``           the one model
``GET /health``              ``{"status": "ok", "model"}``, without a token
``GET /``                    a page to try it on
===========================  ===========================================================================================

Every request but the last two brings the token: ``Authorization: Bearer TOKEN``. Images and sounds come as base64.
An error is ``{code, message, hint}``, those of ``/v1/`` in OpenAI's form.
"""
