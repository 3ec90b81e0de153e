"""Models that are learnt from the rows alone: TF-IDF and boosted trees. Baselines beside a model, or the model itself.

A folder of one holds ``config.json`` (task, labels), ``sklearn.json`` (words, columns) and ``sklearn.safetensors``
(arrays): no pickle, and nothing that only the release of scikit-learn that learnt it can read.
"""
