//! Which messages a page of a history holds: arithmetic, because their numbers are dense.

use kith_domain::conversation::Seq;
use kith_ports::HistorySelector;

/// A page, as the numbers of its first and last message, and what lies beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Seq,
    pub(super) to: Seq,
    pub(super) has_before: bool,
    pub(super) has_after: bool,
}

impl Span {
    /// Which page it is when the viewer sees the messages from `first` to `last`.
    ///
    /// Numbers are dense, so this is arithmetic and not a search.
    pub(super) fn of(selector: HistorySelector, limit: usize, first: Seq, last: Seq) -> Self {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let up_to = |to: Seq| (first.max(to.saturating_sub(limit - 1)), to);
        let starting = |from: Seq| (from, last.min(from.saturating_add(limit - 1)));
        let (from, to) = match selector {
            HistorySelector::Newest => up_to(last),
            HistorySelector::Before(seq) => up_to(last.min(seq.saturating_sub(1))),
            HistorySelector::After(seq) => starting(first.max(seq.saturating_add(1))),
            HistorySelector::Around(seq) => starting(first.max(seq.saturating_sub(limit / 2))),
        };
        Self {
            from,
            to,
            has_before: first <= last.min(from.saturating_sub(1)),
            has_after: first.max(to.saturating_add(1)) <= last,
        }
    }
}

#[cfg(test)]
mod tests {
    use HistorySelector::{After, Around, Before, Newest};
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Newest, 4, (7, 10, true, false))]
    #[case(Newest, 50, (3, 10, false, false))]
    #[case(Before(7), 2, (5, 6, true, true))]
    #[case(Before(5), 50, (3, 4, false, true))]
    #[case(Before(99), 2, (9, 10, true, false))]
    #[case(After(7), 2, (8, 9, true, true))]
    #[case(After(0), 2, (3, 4, false, true))]
    #[case(After(8), 2, (9, 10, true, false))]
    #[case(Around(6), 4, (4, 7, true, true))]
    #[case(Around(3), 4, (3, 6, false, true))]
    #[case(Around(10), 4, (8, 10, true, false))]
    fn pages(
        #[case] selector: HistorySelector,
        #[case] limit: usize,
        #[case] (from, to, has_before, has_after): (Seq, Seq, bool, bool),
    ) {
        let page = Span { from, to, has_before, has_after };
        assert_eq!(Span::of(selector, limit, 3, 10), page);
    }

    #[rstest]
    #[case(Before(3), false, true)]
    #[case(Before(i64::MIN), false, true)]
    #[case(After(10), true, false)]
    #[case(After(i64::MAX), true, false)]
    #[case(Around(i64::MAX), true, false)]
    fn empty_pages(#[case] selector: HistorySelector, #[case] before: bool, #[case] after: bool) {
        let page = Span::of(selector, 5, 3, 10);
        assert!(page.from > page.to, "{page:?}");
        assert_eq!((page.has_before, page.has_after), (before, after));
    }

    #[test]
    fn an_empty_history_has_nothing_beside_it() {
        for selector in [Newest, Before(5), After(0), Around(1)] {
            let page = Span::of(selector, 5, 1, 0);
            assert!(page.from > page.to && !page.has_before && !page.has_after, "{page:?}");
        }
    }

    proptest! {
        #[test]
        fn pages_back_to_back_show_everything_once(
            first in 1i64..5, count in 0i64..40, limit in 1usize..9,
        ) {
            let last = first + count - 1;
            let mut seen = Vec::new();
            let mut page = Span::of(Newest, limit, first, last);
            loop {
                seen.extend((page.from..=page.to).rev());
                if !page.has_before { break }
                page = Span::of(Before(page.from), limit, first, last);
            }
            let all: Vec<Seq> = (first..=last).rev().collect();
            prop_assert_eq!(seen, all);
        }
    }
}
