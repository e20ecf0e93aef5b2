/* The msgpack types that occur in frames, by the first byte of a value. */
#ifndef IPC_FRAME_BYTES_H
#define IPC_FRAME_BYTES_H

enum {
	FIXINT_LAST = 0x7f,
	FIXARRAY = 0x90,
	FIXSTR = 0xa0,
	FIXSTR_LAST = 0xbf,
	FALSE_ = 0xc2,
	TRUE_ = 0xc3,
	BIN_8 = 0xc4,
	BIN_16 = 0xc5,
	BIN_32 = 0xc6,
	UINT_8 = 0xcc,
	UINT_64 = 0xcf,
	STR_8 = 0xd9,
	STR_16 = 0xda,
	STR_32 = 0xdb,
	ARRAY_16 = 0xdc,
	ARRAY_32 = 0xdd,
};

#endif
