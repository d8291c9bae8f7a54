"""Installs the `modeling` package, the scripts and their commands."""

import pathlib

from setuptools import find_packages, setup

SCRIPTS = [
    "convert_checkpoint",
    "create_pretraining_data",
    "export_model",
    "extract_features",
    "learn_vocab",
    "run_classifier",
    "run_multiple_choice",
    "run_pretraining",
    "run_squad",
    "run_tagger",
    "serve",
]
_FLAGS = ["common_flags", "fine_tuning_flags", "task_flags", "training_flags"]
# Ours builds on how uvicorn answers what is no HTTP since this release.
_SERVE = ["prometheus-client", "starlette", "uvicorn>=0.40"]

setup(
    name="bert-tf2",
    version="0.1.0",
    description="BERT for TensorFlow 2 and Keras 3, with the command lines, "
    "checkpoints and data formats of google-research/bert",
    long_description=pathlib.Path(__file__)
    .with_name("README.md")
    .read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.10",
    packages=find_packages(include=["modeling", "modeling.*"]),
    package_data={"modeling.serving": ["page/*"]},
    py_modules=[*_FLAGS, *SCRIPTS],
    entry_points={
        "console_scripts": [
            f"bert-{name.replace('_', '-')} = {name}:run" for name in SCRIPTS
        ]
    },
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "tensorflow-text>=2.21.1,<2.22",
        "absl-py",
        # TensorFlow takes older ones, which cannot count bits.
        "numpy>=2",
        # Offsets into the text as they are given since this release.
        "sentencepiece>=0.2.3",
        # Hugging Face's weight files.
        "safetensors",
        # JSON lines several times faster than the standard library's.
        "orjson",
        # Metrics.
        "scikit-learn",
        "scipy",
        # Progress on a terminal.
        "tqdm",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        # Words of Chinese text, where it is not segmented otherwise.
        "zh": ["jieba"],
        # serve.py; its client needs nothing.
        "serve": _SERVE,
        # export_model.py --format=onnx.
        "onnx": ["onnx", "onnxruntime", "tf2onnx>=1.17"],
        # Pre-training data on a cluster.
        "beam": ["apache-beam"],
        # The network also runs under Keras' JAX back end, which tests use.
        "dev": [*_SERVE, "jax", "jieba", "pytest", "pytest-xdist", "ruff"],
        # What benchmarks and a marked test compare with.
        "peers": [
            "psutil",
            "sentence-transformers",
            "tokenizers",
            "torch",
            "transformers",
        ],
    },
)
