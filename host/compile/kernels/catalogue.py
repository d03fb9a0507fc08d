"""All kernels, the quickest first where two run the same op. A new one is usable, and tested, by standing here."""

from host.compile.kernels.affine import AffineConv, AffineDense
from host.compile.kernels.avr_affine import AvrAffineConv, AvrAffineDense
from host.compile.kernels.avr_conv import DepthConv, PatchConv
from host.compile.kernels.avr_dense import DENSE16, DENSE24
from host.compile.kernels.avr_long import LongDense
from host.compile.kernels.avr_patch import PatchDense
from host.compile.kernels.avr_sums import SUMS16, SUMS24
from host.compile.kernels.code import DenseCode
from host.compile.kernels.floats import FloatConv, FloatDense, FloatPool
from host.compile.kernels.kernel import Kernel
from host.compile.kernels.pools import AvrPool, PortablePool
from host.compile.kernels.portable import PortableConv, PortableDense
from host.compile.kernels.preconv import AvrPreconv, PortablePreconv

CATALOGUE: tuple[Kernel, ...] = (
    DenseCode(),
    DENSE16,
    DENSE24,
    SUMS16,
    SUMS24,
    PatchDense(),
    LongDense(),
    PatchConv(),
    DepthConv(),
    AvrPool(),
    AvrPreconv(),
    AvrAffineDense(),
    AvrAffineConv(),
    AffineDense(),
    AffineConv(),
    PortableDense(),
    FloatDense(),
    FloatConv(),
    FloatPool(),
    PortableConv(),
    PortablePool(),
    PortablePreconv(),
)
