#!/usr/bin/env bash
# NOT RUN YET ON A GPU. Its way through was tried on a CPU alone (DEVICE=cpu SMOKE=1), so no figure of a GPU is known, and the
# batch sizes are guesses; what does not fit into memory shows as a dash.
#
# All measurements on a machine with an NVIDIA GPU, in one command.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: benchmarks/gpu.sh FACES IDENTITY [--out DIR]

  FACES      a folder of faces of 256 pixels, one folder a person, as `condswap train` takes it
  IDENTITY   the network that says who is seen: an .onnx file
  --out DIR  the folder for all figures, logs and models; default: gpu-figures

Measures, each into files of its own in DIR:

  speed      training and swaps at 64 to 512 pixels, float32 and bfloat16, beside the plain loop; at 512 also with gradient
             checkpointing, and at all sizes with compiled steps (speed.md, recompute.md, compiled.md, and the same as .json)
  profile    what takes the time of a step at 256 pixels in bfloat16 (profile.txt)
  bar        the time from nothing to a swapper whose report says "It swaps.": runs of more and more steps, each from
             nothing (bar.md; runs in train-STEPS)
  processes  the same number of steps by one process and by two, where there are two GPUs (processes.md)

Nothing is written but to DIR. Environment:

  PYTHON   the Python that condswap is installed in; default: .venv/bin/python where it is there, else python3
  STEPS    the lengths of the runs towards the bar; default: "500 1000 2000 4000 8000 16000"
  BATCH    pictures a step of these runs; default: 16
  DEVICE=cpu SMOKE=1   try the script itself: everything tiny, on the CPU; IDENTITY may be left out
TEXT
}

fail() {
    printf 'gpu.sh: %s\n' "$*" >&2
    exit 2
}

out=gpu-figures
given=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --out) out=${2:?"--out needs a folder"} && shift 2 ;;
        -*) usage >&2 && fail "unknown option $1" ;;
        *) given+=("$1") && shift ;;
    esac
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
device=${DEVICE:-cuda}
smoke=${SMOKE:-}
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ ! -x "$here/../.venv/bin/python" ] || PYTHON=$here/../.venv/bin/python
fi

# What is missing is said before anything is begun.
least=2
[ -z "$smoke" ] || least=1
if [ ${#given[@]} -lt "$least" ] || [ ${#given[@]} -gt 2 ]; then
    usage >&2
    fail "give FACES and IDENTITY"
fi
faces=${given[0]}
[ -d "$faces" ] || fail "there is no folder $faces"
identity=()
if [ ${#given[@]} -eq 2 ]; then
    [ -f "${given[1]}" ] || fail "there is no file ${given[1]}"
    identity=(--identity "${given[1]}")
fi
command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON; set PYTHON to the one that condswap is installed in"
"$PYTHON" -c 'import condswap, PIL' 2>/dev/null || fail "$PYTHON cannot import condswap and Pillow: pip install -e '.[dev]'"
[ ${#identity[@]} -eq 0 ] || "$PYTHON" -c 'import onnxruntime' 2>/dev/null || fail "IDENTITY needs onnxruntime: pip install onnxruntime"
gpus=0
if [ "$device" = cuda ]; then
    command -v nvidia-smi >/dev/null || fail "there is no nvidia-smi: no NVIDIA GPU, or no driver"
    nvidia-smi >/dev/null || fail "nvidia-smi finds no GPU"
    gpus=$("$PYTHON" -c 'import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)')
    [ "$gpus" -gt 0 ] || fail "torch does not see the GPU: install a torch that is built for CUDA (pytorch.org/get-started)"
elif [ -z "$smoke" ]; then
    fail "DEVICE=$device is for SMOKE=1 alone"
fi

mkdir -p "$out"
out=$(cd "$out" && pwd)
# What the parts keep for a while, or for the next time, stays in the folder, too.
scratch=$out/scratch
mkdir -p "$scratch"
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch XDG_CACHE_HOME=$scratch CUDA_CACHE_PATH=$scratch MPLCONFIGDIR=$scratch PYTHONDONTWRITEBYTECODE=1

sizes=(64 128 256 512) large=512 middle=256 train=256 steps=${STEPS:-500 1000 2000 4000 8000 16000} batch=${BATCH:-16} both=500
how=(--device "$device" --seconds 5 --turns 3 --workers 4)
if [ -n "$smoke" ]; then
    sizes=(64) large=64 middle=64 train=64 steps=${STEPS:-2 4} batch=${BATCH:-2} both=2
    how=(--device "$device" --seconds 0.1 --turns 1 --batch 2)
    [ "$gpus" -gt 0 ] || gpus=2 # two processes on the CPU show that the way is open
fi

say() { printf '\n== %s (%s)\n' "$*" "$(date -u +%H:%M:%S)"; }
speed() { "$PYTHON" "$here/speed.py" "${how[@]}" "$@"; }
trained() { # trained RUN STEPS PYTHON...: train into DIR/RUN from nothing
    local run=$out/$1 count=$2
    shift 2
    rm -rf "$run"
    "$@" -m condswap train "$faces" --out "$run" --size "$train" --steps "$count" --batch-size "$batch" --device "$device" \
        --precision bfloat16 "${identity[@]}" >"$run.log" 2>&1
}

say "speed"
speed --sizes "${sizes[@]}" --out "$out/speed.json" | tee "$out/speed.md"
say "gradient checkpointing at $large px"
speed --sizes "$large" --recompute --out "$out/recompute.json" | tee "$out/recompute.md"
say "compiled steps"
speed --sizes "${sizes[@]}" --compile --out "$out/compiled.json" | tee "$out/compiled.md"
say "profile at $middle px"
speed --profile --networks default --sizes "$middle" --sides "recipe bfloat16" | tee "$out/profile.txt"

say "from nothing to a swap that passes"
{
    printf '| steps of %s at %s px | seconds, start to report | what the report says |\n|---|---|---|\n' "$batch" "$train"
    for count in $steps; do
        begun=$(date +%s)
        trained "train-$count" "$count" "$PYTHON" || fail "condswap train failed; its words are in $out/train-$count.log"
        said=$(grep -m 1 '^\*\*It ' "$out/train-$count/report.md") # the verdict, and the figures that it rests on
        printf '| %s | %s | %s |\n' "$count" "$(($(date +%s) - begun))" "$said"
        case $said in '**It swaps.**'*) break ;; esac
    done
} | tee "$out/bar.md"

if [ "$gpus" -ge 2 ]; then
    say "two processes"
    two=("$PYTHON" -m torch.distributed.run --standalone --nproc-per-node 2)
    {
        printf '| processes | steps of %s pictures in all | seconds, start to report |\n|---|---|---|\n' "$batch"
        begun=$(date +%s)
        trained one-process "$both" "$PYTHON"
        printf '| 1 | %s | %s |\n' "$both" "$(($(date +%s) - begun))"
        begun=$(date +%s)
        trained two-processes "$both" "${two[@]}" || fail "two processes failed; their words are in $out/two-processes.log"
        printf '| 2 | %s | %s |\n' "$both" "$(($(date +%s) - begun))"
    } | tee "$out/processes.md"
else
    say "one GPU: two processes are left out"
fi
say "all of it is in $out"
