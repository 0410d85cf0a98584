"""Makes the files of this folder, and expected.json, which says what pydicom and numpy read in them.

Run in this folder, with pydicom 3 and numpy: python3 make.py
"""

import json

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

ROWS, COLUMNS = 3, 5
expected = {}


def image(pixels, bits, stored=None, signed=False, syntax=ExplicitVRLittleEndian, vr="OW", **attributes):
    """A data set of pixels: an array of [frames,] rows, columns[, samples], as it is stored."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = "1.2.3.4"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.Modality = "OT"
    # Rows of another image lie in a sequence, which is not to be mistaken for this one.
    inner = Dataset()
    inner.Rows, inner.Columns, inner.RescaleSlope = 77, 78, "9"
    inner.is_undefined_length_sequence_item = True
    ds.IconImageSequence = Sequence([inner])
    ds["IconImageSequence"].is_undefined_length = True
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.BitsAllocated, ds.BitsStored = bits, stored or bits
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(signed)
    for name, value in attributes.items():
        setattr(ds, name, value)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = pixels.astype(f"{order}{'i' if signed else 'u'}{max(bits // 8, 1)}").tobytes()
    if bits == 1:
        data = np.packbits(pixels.ravel().astype(np.uint8), bitorder="little").tobytes()
    data += b"\0" * (len(data) % 2)
    if order == ">" and bits <= 8 and vr == "OW":
        data = np.frombuffer(data, "<u2").byteswap().tobytes()
    ds.PixelData = data
    ds["PixelData"].VR = vr
    return ds


def note(name, values, shape, window=None):
    """Says what is in a file: its values in stored order, null for what is missing."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    expected[name] = {
        "shape": list(shape),
        "values": [None if np.isnan(value) else float(value) for value in flat],
    }


def save(name, ds, values=None, planar=False):
    """Writes a file, and notes what pydicom reads in it: in modality units, its padding missing."""
    ds.save_as(name, enforce_file_format=True)
    if values is None:
        read = dcmread(name)
        stored = read.pixel_array
        values = apply_modality_lut(stored, read).astype(np.float64)
        if "PixelPaddingValue" in read:
            limits = sorted([read.PixelPaddingValue, read.get("PixelPaddingRangeLimit", read.PixelPaddingValue)])
            values[(stored >= limits[0]) & (stored <= limits[1])] = np.nan
        if planar:
            values = np.moveaxis(values, -1, -3)
    note(name, values, values.shape)


random = np.random.default_rng(17)
shape = (ROWS, COLUMNS)

ct = random.integers(-1024, 2048, shape)
ct[0, :2] = -2000
ds = image(
    ct, 16, 12, signed=True, RescaleSlope="1", RescaleIntercept="-1024", WindowCenter=["40", "300"], WindowWidth=["400", "1500"]
)
ds.add_new("PixelPaddingValue", "SS", -2000)
# The four bits above the twelve are an overlay's.
words = np.frombuffer(ds.PixelData, "<u2").copy()
words[3:9] ^= 0xA000
ds.PixelData = words.tobytes()
save("ct.dcm", ds)

ds = image(random.integers(0, 65536, shape), 16, syntax=ImplicitVRLittleEndian, RescaleSlope="2.5", RescaleIntercept="-7.25")
ds.add_new("PixelPaddingValue", "US", 60000)
ds.add_new("PixelPaddingRangeLimit", "US", 65535)
save("implicit.dcm", ds)

save("big_endian.dcm", image(random.integers(-32768, 32768, shape), 16, signed=True, syntax=ExplicitVRBigEndian))
save("big_endian_words.dcm", image(random.integers(0, 256, shape), 8, syntax=ExplicitVRBigEndian))
save("big_endian_bytes.dcm", image(random.integers(0, 256, shape), 8, syntax=ExplicitVRBigEndian, vr="OB"))
frames = random.integers(0, 256, (2, *shape))
save("deflated.dcm", image(frames, 8, syntax=DeflatedExplicitVRLittleEndian, vr="OB", NumberOfFrames=2))

rle = np.repeat(random.integers(-3000, 3000, (3, ROWS, 1)), COLUMNS, axis=2)
rle[:, :, 3:] += random.integers(0, 2, (3, ROWS, 2))
ds = image(rle, 16, signed=True, NumberOfFrames=3, RescaleSlope="2", RescaleIntercept="1")
ds.compress(RLELossless, generate_instance_uid=False)
save("rle.dcm", ds)

colours = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
rgb = random.integers(0, 256, (*shape, 3))
ds = image(rgb, 8, vr="OB", PlanarConfiguration=0, **colours)
ds.compress(RLELossless, generate_instance_uid=False)
save("rle_rgb.dcm", ds)
save("rgb.dcm", image(rgb, 8, vr="OB", PlanarConfiguration=0, **colours))
save("rgb_planar.dcm", image(np.moveaxis(rgb, -1, 0), 8, vr="OB", PlanarConfiguration=1, **colours), planar=True)

words = random.integers(0, 2**32, shape)
save("u32.dcm", image(words, 32))
save("u32_scaled.dcm", image(words, 32, RescaleSlope="3", RescaleIntercept="-5"))
save("i32.dcm", image(random.integers(-(2**31), 2**31, shape), 32, signed=True))
# Ten bits, beginning at the third. pydicom takes them to begin at the first, so that numpy says what they are.
shifted = random.integers(0, 1024, shape)
save("high_bit.dcm", image(shifted << 2 | 3, 16, 10, HighBit=11), shifted.astype(np.float64))

save("bits.dcm", image(random.integers(0, 2, (3, *shape)), 1, vr="OB", NumberOfFrames=3))
# In words of 16 bits (OW), as PS3.5, 8.1.1 has it; pydicom changes their bytes back of cells of 8 bits alone.
one_bits = random.integers(0, 2, shape)
save("bits_big_endian.dcm", image(one_bits, 1, syntax=ExplicitVRBigEndian), one_bits.astype(np.float64))


def group(slope, intercept, center, width, function=None):
    item, transformation, voi = Dataset(), Dataset(), Dataset()
    transformation.RescaleIntercept, transformation.RescaleSlope = intercept, slope
    transformation.RescaleType = "US"
    voi.WindowCenter, voi.WindowWidth = center, width
    if function:
        voi.VOILUTFunction = function
    item.PixelValueTransformationSequence = Sequence([transformation])
    item.FrameVOILUTSequence = Sequence([voi])
    return item


# pydicom leaves functional groups to its users: numpy says what they mean.
frames = random.integers(0, 256, (3, *shape))
ds = image(frames, 8, vr="OB", NumberOfFrames=3)
groups = [("1", "0", "100", "50", None), ("2", "-10", "20", "5", "LINEAR_EXACT"), ("0.5", "3", "64", "128", None)]
ds.PerFrameFunctionalGroupsSequence = Sequence([group(*of_frame) for of_frame in groups])
ds["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
for item in ds.PerFrameFunctionalGroupsSequence:
    item.is_undefined_length_sequence_item = True
scaled = np.stack([frame * float(slope) + float(intercept) for frame, (slope, intercept, *_) in zip(frames, groups)])
save("per_frame.dcm", ds, scaled)
seen = scaled.copy()
for frame, (lo, hi) in zip(seen, [(75, 124), (17.5, 22.5), (0, 127)]):
    frame[(frame < lo) | (frame > hi)] = np.nan
note("per_frame.dcm window file", seen, seen.shape)

ds = image(frames, 8, vr="OB", NumberOfFrames=3)
ds.SharedFunctionalGroupsSequence = Sequence([group("3", "-1", "200", "100")])
save("shared.dcm", ds, frames * 3.0 - 1.0)

ds = image(random.integers(-4, 8, shape), 8, signed=True, vr="OB")
lut = Dataset()
lut.add_new("LUTDescriptor", "SS", [6, -2, 16])
lut.ModalityLUTType = "US"
lut.add_new("LUTData", "US", [100, 7, 65535, 3, 4, 5000])
ds.ModalityLUTSequence = Sequence([lut])
save("table.dcm", ds)

for name, dtype, attribute, element in [
    ("float.dcm", "<f4", "FloatPixelData", "FloatPixelPaddingValue"),
    ("double.dcm", "<f8", "DoubleFloatPixelData", "DoubleFloatPixelPaddingValue"),
]:
    # Short decimals, which every reader of JSON takes for the same float.
    floats = (np.round(random.standard_normal(shape) * 64e3) / 64).astype(dtype)
    ds = image(np.zeros(shape), 8)
    del ds.PixelData
    for absent in ["BitsStored", "HighBit", "PixelRepresentation"]:
        delattr(ds, absent)
    ds.BitsAllocated = 8 * floats.dtype.itemsize
    setattr(ds, attribute, floats.tobytes())
    if name == "double.dcm":
        floats[1, 1] = -1.0
        setattr(ds, attribute, floats.tobytes())
        setattr(ds, element, -1.0)
    save(name, ds, np.where(floats == -1, np.nan, floats).astype(np.float64))

# Nothing here decodes JPEG 2000, so that any bytes will do.
from pydicom.encaps import encapsulate  # noqa: E402

ds = image(np.zeros(shape), 8, syntax=JPEG2000Lossless, vr="OB")
ds.PixelData = encapsulate([b"\xff\x4f\xff\x51" * 8])
ds["PixelData"].is_undefined_length = True
ds.save_as("jpeg2000.dcm", enforce_file_format=True)

ds = image(np.zeros(shape), 8, vr="OB")
del ds.PixelData
ds.save_as("no_pixels.dcm", enforce_file_format=True)

with open("expected.json", "w") as file:
    json.dump(expected, file, indent=None, separators=(",", ":"))
    file.write("\n")
