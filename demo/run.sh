#!/usr/bin/env bash
# The demo: a small model that it makes itself, and the features of a few
# sentences from it. Every command is shown before it runs.
set -euo pipefail
cd "$(dirname "$0")/.."

output=${1:-demo_output}
rm -rf "$output"
mkdir -p "$output"
export TF_CPP_MIN_LOG_LEVEL=3

show() { printf '\n$ %s\n' "$*"; "$@"; }

show python -m demo.make_checkpoint \
  --text_file=demo/sentences.txt --output_dir="$output/model"

show python extract_features.py \
  --input_file=demo/sentences.txt \
  --output_file="$output/features.jsonl" \
  --init_checkpoint="$output/model/bert_model.ckpt" \
  --layers=-1,-2,-3,-4

show python extract_features.py \
  --input_file=demo/sentences.txt \
  --output_file="$output/vectors.jsonl" \
  --init_checkpoint="$output/model/bert_model.ckpt" \
  --layers=-1,-2 --combine=mean --pooling=mean

show python convert_checkpoint.py \
  --input="$output/model/bert_model.ckpt" \
  --output_dir="$output/huggingface" --to=huggingface

printf '\nThe first line of %s, cut:\n' "$output/features.jsonl"
head -c 300 "$output/features.jsonl"
printf ' ...\n\nFiles in %s:\n' "$output"
(cd "$output" && find . -type f | sort)
