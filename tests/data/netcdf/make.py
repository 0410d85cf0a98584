"""Makes the files of this folder; see README.md. Needs h5py and netCDF4."""

import h5py
import netCDF4
import numpy as np


def netcdf4():
    with netCDF4.Dataset("groups.nc", "w", format="NETCDF4") as file:
        file.createDimension("time", None)
        file.createDimension("lat", 5)
        file.createDimension("lon", 7)
        file.createVariable("time", "f8", ("time",), chunksizes=(4,))[:] = np.arange(4)
        file.createVariable("crs", "i4", ())[...] = 1
        t2m = file.createVariable(
            "t2m", "i2", ("time", "lat", "lon"), zlib=True, shuffle=True, fletcher32=True, chunksizes=(1, 3, 4), fill_value=-32767
        )
        t2m.set_auto_maskandscale(False)
        t2m.scale_factor, t2m.add_offset, t2m.grid_mapping = 0.25, 273.0, "crs"
        stored = np.arange(4 * 5 * 7, dtype="i2").reshape(4, 5, 7)
        stored[1, 2, 3] = stored[3, 4, 6] = -32767
        t2m[:] = stored
        group = file.createGroup("forecast")
        group.createDimension("step", 3)
        group.createVariable("t2m", "f4", ("step",))[:] = [1.5, 2.5, 4.0]
        group.createVariable("station", str, ("step",))[:] = np.array(["a", "bc", "d"], dtype=object)
        weather = group.createEnumType("u1", "weather_t", {"dry": 0, "wet": 1})
        group.createVariable("weather", weather, ("step",))[:] = [0, 1, 1]
        pair = group.createCompoundType(np.dtype([("x", "f4"), ("y", "i2")]), "pair_t")
        group.createVariable("pair", pair, ("step",))[:] = np.zeros(3, dtype=[("x", "f4"), ("y", "i2")])


numbers = np.arange(60).reshape(4, 15)


def oldest():
    with h5py.File("oldest.h5", "w", libver=("earliest", "v108")) as file:
        file.create_dataset("big_endian", data=numbers.astype(">f8"))
        file.create_dataset("big_endian_chunks", data=numbers.astype(">i4"), chunks=(3, 4), compression="gzip")
        file.create_dataset("half", data=(numbers / 8).astype("f2"))
        file.create_dataset("lzf", data=numbers.astype("u2"), chunks=(4, 7), compression="lzf", shuffle=True, fletcher32=True)
        partly = file.create_dataset("partly", shape=(4, 15), dtype="i4", chunks=(2, 5), fillvalue=-7)
        partly[0, 0] = 5
        file.create_dataset("never", shape=(4, 15), dtype="f4", fillvalue=2.5)
        file.create_dataset("scalar", data=np.float32(4.5))
        file.create_dataset("bool", data=numbers % 2 == 0)
        file.create_dataset("text", data=np.array([b"a", b"bc"]))
        file.create_dataset("external", shape=(4,), dtype="f4", external=[("elsewhere.bin", 0, 16)])
        compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        compact.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((4,))
        dataset = h5py.h5d.create(file.id, b"compact", h5py.h5t.STD_U8LE, space, compact)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([250, 251, 252, 255], dtype="u1"))


def newer():
    with h5py.File("newer.h5", "w", libver=("v110", "v110"), userblock_size=512) as file:
        file.create_dataset("one_chunk", data=numbers.astype("i8"), chunks=(4, 15), compression="gzip", shuffle=True)
        file.create_dataset("fixed_array", data=numbers.astype("f4"), chunks=(1, 4), compression="gzip")
        file.create_dataset("extensible_array", data=numbers.astype("f4"), maxshape=(None, 15), chunks=(1, 15))
        file.create_dataset("two_unlimited", data=numbers.astype("f4"), maxshape=(None, None), chunks=(2, 4))
        partly = file.create_dataset("partly", shape=(4, 15), dtype="f4", maxshape=(None, 15), chunks=(2, 5))
        partly[3, 14] = 1
        file.create_dataset("half", shape=(4, 15), dtype="f2", chunks=(2, 5))
        file.create_dataset("empty", shape=(0, 15), dtype="f4", maxshape=(None, 15), chunks=(1, 15))
        file.create_dataset("complex", data=numbers.astype("c8"))
        file.create_dataset("scale_offset", data=numbers, chunks=(4, 15), scaleoffset=0)
        layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
        layout[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=(4,))
        file.create_virtual_dataset("virtual", layout)


netcdf4()
oldest()
newer()
