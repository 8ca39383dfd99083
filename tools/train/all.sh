#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the model that ships with the project: tools/train/all.sh WEIR FOLDER MINUTES. The minutes
# are those of train.py, in which both cores work. A run that was stopped goes on where it was. What
# comes out belongs into models/, what is under FOLDER/recorded into tests/data/shipped/.
set -eu

weir=$1
folder=$2
minutes=$3
tools=$(dirname "$0")
python=${PYTHON:-/usr/bin/python3} # Debian's, which has Debian's torch
name=weir-5M
type=Q5_K_M

if [ -e "$folder/final.pt" ]; then
    echo "$folder/final.pt is there already: remove $folder to train anew"
else
    "$python" "$tools/train.py" "$folder" --minutes "$minutes"
    "$python" "$tools/chain.py" "$folder"
fi
"$python" "$tools/export.py" "$folder/final.pt" "$folder/$name"
rm -f "$folder/$name-F32.gguf" "$folder/$name-$type.gguf" "$folder/decoded.gguf"
"$weir" convert "$folder/$name" "$folder/$name-F32.gguf"
"$weir" quantize --override-kv general.license=str:mit "$folder/$name-F32.gguf" \
    "$folder/$name-$type.gguf" "$type"
"$python" "$tools/check.py" "$weir" "$folder/$name-F32.gguf"
"$weir" quantize --allow-requantize "$folder/$name-$type.gguf" "$folder/decoded.gguf" F32
"$python" "$tools/check.py" "$weir" "$folder/decoded.gguf" --record "$folder/recorded"
"$python" "$tools/report.py" "$weir" "$folder" "$folder/$name-F32.gguf" \
    "$folder/$name-$type.gguf" >"$folder/report.md"
cat "$folder/report.md"
"$python" "$tools/cases.py" "$weir" "$folder/$name-$type.gguf" "$folder/tokenizer.json" \
    "$folder/recorded"
