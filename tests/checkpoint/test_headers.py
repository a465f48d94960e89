"""Headers of safetensors files: read without their values, and refused where they cannot be true."""

import json

from checkpoint_files import ENTRY, configure, raw_safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from bertprune.checkpoint.headers import TensorFact, main_dtype, safetensors_header
from bertprune.errors import CheckpointError

FALSE_HEADERS = [
    ("{" + ENTRY + "}", b"\0" * 4, "not_safetensors"),  # the data ends early
    ("{" + ENTRY.replace("[0,8]", "[0,800]") + "}", b"\0" * 8, "not_safetensors"),  # an offset past the end
    ("{" + ENTRY.replace("[2]", "[1000000]") + "}", b"\0" * 8, "not_safetensors"),  # a shape without room
    ("{" + ENTRY.replace("[2]", "[4294967296,4294967296,4294967296]") + "}", b"\0" * 8, "not_safetensors"),
    ("{" + ENTRY + "," + ENTRY.replace('"a"', '"b"') + "}", b"\0" * 8, "not_safetensors"),  # overlapping
    ("{" + ENTRY + "," + ENTRY + "}", b"\0" * 8, "repeated_key"),
    ("{" + ENTRY.replace("F32", "Q4") + "}", b"\0" * 8, "unknown_dtype"),
    ("{" + ENTRY.replace("[2]", "[-2]") + "}", b"\0" * 8, "no_shape"),
    ("[1,2]", b"", "not_an_object"),
    ("{not json", b"", "not_json"),
]


def test_false_headers_are_refused(folder, refused, subtests):
    for header, data, expected in FALSE_HEADERS:
        with subtests.test(expected):
            raw_safetensors(folder / "model.safetensors", header, data)
            assert refused(folder).code == f"checkpoint.{expected}"


def test_false_header_lengths_are_refused(folder, refused, subtests):
    for length, expected in [(0, "not_json"), (2**64 - 1, "header_cut_off")]:
        with subtests.test(expected):
            raw_safetensors(folder / "model.safetensors", "{" + ENTRY + "}", b"\0" * 8, length)
            assert refused(folder).code == f"checkpoint.{expected}"


def test_headers_that_take_long_to_read_are_refused(folder, refused):
    path = folder / "model.safetensors"
    raw_safetensors(path, "{" + " " * 5_000_000 + "}")
    assert str(refused(folder)) == "model.safetensors has a header of 5,000,002 bytes; at most 4,194,304 are read"
    empty = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    raw_safetensors(path, "{" + ",".join(f'"{n}":{empty}' for n in range(10_001)) + "}")
    assert refused(folder).values == {"file": "model.safetensors", "tensors": 10_001, "most": 10_000}
    raw_safetensors(path, "{" + ENTRY.replace("[2]", json.dumps([1] * 65)) + "}", b"\0" * 8)
    assert refused(folder).code == "checkpoint.too_many_dimensions"


def test_a_file_that_holds_nothing_of_the_model_is_refused(folder, refused, subtests):
    for header in ["{}", "{" + ENTRY + "}"]:
        with subtests.test(header):
            configure(folder, num_hidden_layers=1)
            raw_safetensors(folder / "model.safetensors", header, b"\0" * 8 if ENTRY in header else b"")
            assert str(refused(folder)).startswith("suspect holds none of the tensors that BertModel expects, but ")


def test_the_main_dtype_holds_most_values():
    few, many = TensorFact("a", (3,), "float32"), TensorFact("b", (2, 2), "float16")
    assert main_dtype((few, many)) == "float16"
    assert main_dtype(()) == "float32"


@settings(max_examples=100)
@given(st.binary(max_size=300), st.one_of(st.none(), st.integers(0, 2**64 - 1)))
def test_any_bytes_are_read_or_refused(tmp_path_factory, data, length):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(data if length is None else length.to_bytes(8, "little") + data)
    try:
        safetensors_header(path)
    except CheckpointError as error:
        assert "fuzz.safetensors" in str(error)
