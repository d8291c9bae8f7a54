#!/usr/bin/env bash
# The demo: the sample text, a vocabulary learnt from it, pre-training records,
# a small BERT pre-trained on them, a classifier of reviews made of it, exported
# and asked, and features of a few sentences. Every command is shown before it
# runs.
set -euo pipefail
cd "$(dirname "$0")/.."

output=${1:-demo_output}
rm -rf "$output"
mkdir -p "$output"
export TF_CPP_MIN_LOG_LEVEL=3

show() { printf '\n$ %s\n' "$*"; "$@"; }

show python learn_vocab.py \
  --input_file=sample_text/english.txt,sample_text/chinese.txt \
  --output_file="$output/vocab.txt" --vocab_size=2500 --min_frequency=1

show python create_pretraining_data.py \
  --input_file=sample_text/english.txt,sample_text/chinese.txt \
  --output_file="$output/tf_examples.tfrecord" \
  --vocab_file="$output/vocab.txt" \
  --max_seq_length=64 --max_predictions_per_seq=10 \
  --dupe_factor=10 --num_shards=2 --show_instances=1

# Ends early, as if the machine had been taken away; the same command goes on.
pretrain() {
  show python run_pretraining.py \
    --input_file="$output/tf_examples.tfrecord*" \
    --output_dir="$output/model" \
    --bert_config_file=demo/bert_config.json \
    --vocab_file="$output/vocab.txt" \
    --do_train --do_eval \
    --train_batch_size=32 --eval_batch_size=32 \
    --num_train_steps=300 --num_warmup_steps=30 --learning_rate=5e-4 \
    --log_steps=50 "$@"
}
pretrain --max_train_seconds=8
pretrain

show python run_classifier.py \
  --task_name=auto --data_dir=demo/reviews \
  --init_checkpoint="$output/model/bert_model.ckpt" \
  --do_train --do_eval --pooling=mean \
  --max_seq_length=32 --train_batch_size=16 \
  --learning_rate=5e-4 --num_train_epochs=10 --eval_each_epoch \
  --output_dir="$output/reviews"

show python run_classifier.py \
  --task_name=auto --do_predict --predict_file=demo/reviews/new.txt \
  --output_dir="$output/reviews" --prediction_dir="$output/reviews/new"

printf '\nText, label and probability:\n'
tail -n +2 "$output/reviews/new/predictions.tsv" |
  paste demo/reviews/new.txt - |
  awk -F'\t' '{ printf "%-60s %-5s %.2f\n", $1, $3, ($4 > $5 ? $4 : $5) }'

show python export_model.py \
  --model_dir="$output/reviews" --export_dir="$output/models" --name=reviews
head -n 1 demo/reviews/new.txt |
  show python serve.py --model_dir="$output/models" --interactive

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
printf '\nTo serve the classifier over HTTP:\n  pip install ".[serve]"\n'
printf '  python serve.py --model_dir=%s\n' "$output/models"
