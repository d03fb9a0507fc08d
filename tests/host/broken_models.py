"""Model files with something in them changed."""

import h5py
import pytest

from host.errors import InputError
from host.modelfile import file as model_file


def replace_dataset(file, name, data):
    del file[name]
    file[name] = data


def complaint_of(path, change):
    """The one line that refuses the file at `path` after `change(file)`."""
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InputError) as caught:
        model_file.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message
