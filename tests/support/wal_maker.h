// WalMaker: what a server sends of a database that changes: segments and snapshots as stored bytes, with or
// without trailers. Thread-bound.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "shared/format/segment.h"

namespace litestream {

class WalMaker {
  public:
    struct Segment {
        std::uint64_t index = 0;
        std::uint64_t start = 0;
        Bytes payload;
    };

    static constexpr std::uint32_t kPages = 4;

    explicit WalMaker(std::string generation, std::uint32_t page_size = 512)
        : generation_(std::move(generation)), database_(std::size_t{kPages} * page_size) {
        header_.page_size = page_size;
        const std::string_view magic{"SQLite format 3\0", 16};
        std::copy(magic.begin(), magic.end(), database_.begin());
        database_[16] = static_cast<std::uint8_t>(page_size >> 8);
    }

    Trailer last_trailer;      // of the last segment or snapshot; changed by `edit` before it is written
    bool has_trailers = true;  // of what is made from now on
    std::function<void(Trailer&)> edit;

    const std::string& generation() const { return generation_; }
    const Bytes& database() const { return database_; }
    Position end() const { return {generation_, index_, end_}; }
    Bytes header() const {
        const auto bytes = header_.encode();
        return {bytes.begin(), bytes.end()};
    }
    std::int64_t time_ms() const { return 1000 + commits_; }

    // The WAL begins anew; the header segment.
    Segment begin_index() {
        if (end_ > 0) {
            previous_end_ = end_;
            previous_checksum_ = chain_;
            ++index_;
        }
        store_be32(header_.salts.data(), 7 + static_cast<std::uint32_t>(index_));
        header_ = *WalHeader::decode(header_.encode());
        chain_ = header_.checksum;
        end_ = start_ = kWalHeaderSize;
        pending_.clear();
        return {index_, 0, payload(header(), nullptr)};
    }
    // Pages 1 and another one.
    void commit() {
        store_be32(&database_[24], ++commits_);
        const std::uint32_t page_no = 2 + commits_ % (kPages - 1);
        std::uint32_t value = commits_;
        const auto page = page_of(page_no);
        for (std::uint8_t& byte : page)
            byte = static_cast<std::uint8_t>((value = value * 1664525 + 1013904223) >> 24);
        add_frame(1, 0);
        add_frame(page_no, kPages);
        pending_commits_.push_back({end_, time_ms()});
    }
    // All commits since the last cut. `whole`: with the header in front; only right behind begin_index().
    Segment cut(bool whole = false) {
        Bytes content = whole ? header() : Bytes();
        content.insert(content.end(), pending_.begin(), pending_.end());
        Segment segment{index_, whole ? 0 : start_, {}};
        Trailer trailer = make_trailer(Trailer::Kind::kSegment);
        trailer.start_offset = segment.start;
        trailer.commits = std::exchange(pending_commits_, {});
        segment.payload = payload(content, &trailer);
        pending_.clear();
        start_ = end_;
        return segment;
    }
    Segment commit_and_cut() {
        commit();
        return cut();
    }
    Bytes snapshot() {
        Trailer trailer = make_trailer(Trailer::Kind::kSnapshot);
        trailer.commits = {{end_, time_ms()}};
        if (end_ == 0) trailer.salts = {};
        return payload(database_, &trailer);
    }

  private:
    ByteSpan page_of(std::uint32_t page_no) {
        return ByteSpan(database_).subspan(std::size_t{page_no - 1} * header_.page_size, header_.page_size);
    }
    void add_frame(std::uint32_t page_no, std::uint32_t commit_pages) {
        FrameHeader frame{page_no, commit_pages, header_.salts, {}};
        std::uint8_t encoded[kFrameHeaderSize];
        frame.encode(encoded);
        frame.checksum = chain_ = frame_checksum(chain_, encoded, page_of(page_no), header_.word_order);
        frame.encode(encoded);
        const ByteView page = page_of(page_no);
        pending_.insert(pending_.end(), std::begin(encoded), std::end(encoded));
        pending_.insert(pending_.end(), page.begin(), page.end());
        end_ += sizeof encoded + page.size();
    }
    Trailer make_trailer(Trailer::Kind kind) const {
        Trailer trailer;
        trailer.kind = kind;
        trailer.generation = generation_;
        trailer.index = index_;
        trailer.start_offset = trailer.end_offset = end_;
        trailer.previous_end = previous_end_;
        trailer.previous_checksum = previous_checksum_;
        trailer.end_checksum = trailer.source_checksum = chain_;
        trailer.salts = header_.salts;
        trailer.page_size = header_.page_size;
        trailer.page_count = kPages;
        return trailer;
    }
    Bytes payload(ByteView content, Trailer* trailer) {
        Bytes out;
        PayloadWriter writer(append_to(out));
        if (trailer != nullptr && edit) edit(*trailer);
        REQUIRE(writer.write(content));
        REQUIRE(writer.finish(has_trailers ? trailer : nullptr));
        if (trailer != nullptr) last_trailer = *trailer;
        return out;
    }

    const std::string generation_;
    WalHeader header_;
    Bytes database_;
    std::uint64_t index_ = 0, start_ = 0, end_ = 0;
    WalChecksum chain_;
    std::uint64_t previous_end_ = 0;
    WalChecksum previous_checksum_;
    std::uint32_t commits_ = 0;
    Bytes pending_;
    std::vector<Commit> pending_commits_;
};

}  // namespace litestream
