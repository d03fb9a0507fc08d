"""TensorFlow Lite: int8 nets with their own whole numbers, float nets as floats.

`file` reads the flatbuffer, `walk` goes along its operators, `layers` and `integers` make the numbers of a layer,
`chain` the net.
"""

from host.importers.tflite.walk import read as read
