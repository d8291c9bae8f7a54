"""Exported models over HTTP.

Nothing is imported here: `modeling.serving.client` needs no TensorFlow and no
server on the machine.
"""
