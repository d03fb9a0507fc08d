#include "sim_image.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT   ((size_t)16 << 20)
#define EM_ATMEL_AVR 83
#define LOAD_RAM     0x800000u /* avr-ld's address of RAM, EEPROM and fuses: nothing that lives in flash */

typedef struct {
    avr_t *avr;
    image_extent *extent;
    char *error;
    size_t error_bytes;
} loader;

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file ? malloc(FILE_LIMIT + 1) : NULL;

    *size = bytes ? fread(bytes, 1, FILE_LIMIT + 1, file) : 0;
    if (file)
        fclose(file);
    if (!*size || *size > FILE_LIMIT) {
        free(bytes);
        return NULL;
    }
    bytes[*size] = 0; /* ends the text of a hex file */
    return bytes;
}

static bool put(loader *to, uint32_t address, const uint8_t *bytes, uint32_t count)
{
    const uint32_t size = to->avr->flashend + 1;

    if (address > size || count > size - address) {
        snprintf(to->error, to->error_bytes, "flash: found code up to 0x%lx, need at most 0x%lx; choose a larger board",
                 (unsigned long)address + count, (unsigned long)size);
        return false;
    }
    memcpy(to->avr->flash + address, bytes, count);
    if (address < to->extent->start)
        to->extent->start = address;
    if (address + count > to->extent->end)
        to->extent->end = address + count;
    return true;
}

static bool load_elf(loader *to, const uint8_t *file, size_t size)
{
    Elf32_Ehdr header;

    memcpy(&header, file, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS32 || header.e_machine != EM_ATMEL_AVR) {
        snprintf(to->error, to->error_bytes, "machine: found ELF machine %u, need %u (AVR); build it with avr-gcc",
                 header.e_machine, EM_ATMEL_AVR);
        return false;
    }
    for (uint32_t i = 0; i < header.e_phnum; i++) {
        Elf32_Phdr segment;
        const size_t at = (size_t)header.e_phoff + (size_t)i * sizeof segment;
        if (at + sizeof segment > size)
            goto truncated;
        memcpy(&segment, file + at, sizeof segment);
        if (segment.p_type != PT_LOAD || !segment.p_filesz || segment.p_paddr >= LOAD_RAM)
            continue;
        if ((size_t)segment.p_offset + segment.p_filesz > size)
            goto truncated;
        if (!put(to, segment.p_paddr, file + segment.p_offset, segment.p_filesz))
            return false;
    }
    return true;
truncated:
    snprintf(to->error, to->error_bytes, "ELF: found a file of %zu bytes, need the segments it names; build it again",
             size);
    return false;
}

static int hex_byte(const char *text)
{
    char digits[3] = {text[0], text[0] ? text[1] : '\0', '\0'};
    char *end;
    const long value = strtol(digits, &end, 16);

    return end == digits + 2 ? (int)value : -1;
}

/* One record into `record` (length, address, type, data); returns its length or -1. */
static int parse_record(const char *line, uint8_t record[260])
{
    uint8_t sum = 0;
    const int count = line[0] == ':' ? hex_byte(line + 1) : -1;

    if (count < 0)
        return -1;
    for (int i = 0; i < count + 5; i++) {
        const int value = hex_byte(line + 1 + 2 * i);
        if (value < 0)
            return -1;
        record[i] = (uint8_t)value;
        sum = (uint8_t)(sum + value);
    }
    return sum == 0 ? count : -1;
}

static bool load_hex(loader *to, char *text)
{
    uint32_t base = 0;
    unsigned number = 0;

    for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        uint8_t record[260];
        const int count = parse_record(line, record);
        number++;
        if (count < 0) {
            snprintf(to->error, to->error_bytes,
                     "Intel hex record %u: found a bad checksum or digit, need a sound record; "
                     "build the file again",
                     number);
            return false;
        }
        const uint32_t upper = count == 2 ? (uint32_t)(record[4] << 8 | record[5]) : 0;
        if (record[3] == 1)
            return true;
        if (record[3] == 2)
            base = upper << 4;
        else if (record[3] == 4)
            base = upper << 16;
        else if (record[3] == 0 && !put(to, base + (uint32_t)(record[1] << 8 | record[2]), record + 4, (uint32_t)count))
            return false;
    }
    snprintf(to->error, to->error_bytes, "Intel hex: found no end record, need one; the file was cut short");
    return false;
}

bool image_load(avr_t *avr, const char *path, image_extent *extent, char *error, size_t error_bytes)
{
    loader to = {avr, extent, error, error_bytes};
    size_t size;
    uint8_t *file = read_file(path, &size);
    bool loaded = false;

    *extent = (image_extent){UINT32_MAX, 0};
    error[0] = '\0';
    if (!file) {
        snprintf(error, error_bytes,
                 "image: found no readable file of at most 16 MiB, need an ELF or Intel hex file; build it first");
        return false;
    }
    if (size >= sizeof(Elf32_Ehdr) && !memcmp(file, ELFMAG, SELFMAG))
        loaded = load_elf(&to, file, size);
    else if (file[0] == ':')
        loaded = load_hex(&to, (char *)file);
    else
        snprintf(error, error_bytes,
                 "image: found neither an ELF magic nor an Intel hex record, need one; give firmware.elf or .hex");
    if (loaded && extent->end == 0) {
        snprintf(error, error_bytes, "image: found no bytes for flash, need a program; link it for an AVR");
        loaded = false;
    }
    free(file);
    return loaded;
}
