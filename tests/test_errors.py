"""Errors for people."""

from modeling.errors import without_operations


def test_messages_lose_the_operations_around_them():
    told = (
        "{{function_node __wrapped__SaveV2_dtypes_41_device_/CPU:0}} a/b.data; "
        "No space left on device [Op:SaveV2] name: \nmore"
    )
    assert without_operations(told) == "a/b.data; No space left on device"
    assert without_operations("a/b [c]: no") == "a/b [c]: no"
