//! Items that were kept, page by page (`ResponseItemList`).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Which part of a conversation is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemsAsked {
    pub limit: usize,
    /// As they were said; else the latest first.
    pub oldest_first: bool,
    /// The last item that is known already, by its id.
    pub after: Option<String>,
}

/// Why there is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ItemsMistake {
    #[error("expected items with ids, found something else")]
    Items,
    #[error("expected `after` to name an item of the response's input, found another id")]
    After,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Serialize)]
struct Page<'a> {
    object: &'static str,
    data: &'a [&'a RawValue],
    /// Empty of an empty list, for the description wants a text.
    first_id: &'a str,
    last_id: &'a str,
    has_more: bool,
}

/// A page of `said`: arrays of items, in the order in which they were said.
pub fn item_page(said: &[&str], asked: &ItemsAsked) -> Result<Vec<u8>, ItemsMistake> {
    let mut items: Vec<(Cow<'_, str>, &RawValue)> = Vec::new();
    for array in said {
        let of_array: Vec<&RawValue> = serde_json::from_str(array).map_err(|_| ItemsMistake::Items)?;
        for item in of_array {
            let Named { id } = serde_json::from_str(item.get()).map_err(|_| ItemsMistake::Items)?;
            items.push((id, item));
        }
    }
    if !asked.oldest_first {
        items.reverse();
    }
    let begin = match &asked.after {
        None => 0,
        Some(after) => {
            items.iter().position(|(id, _)| id == after).map(|at| at + 1).ok_or(ItemsMistake::After)?
        }
    };
    let rest = items.get(begin..).unwrap_or_default();
    let page = rest.get(..asked.limit.min(rest.len())).unwrap_or_default();
    let data: Vec<&RawValue> = page.iter().map(|(_, item)| *item).collect();
    let end =
        |item: Option<&(Cow<'_, str>, &RawValue)>| item.map(|(id, _)| id.to_string()).unwrap_or_default();
    let (first, last) = (end(page.first()), end(page.last()));
    let has_more = rest.len() > page.len();
    let page = Page { object: "list", data: &data, first_id: &first, last_id: &last, has_more };
    serde_json::to_vec(&page).map_err(|_| ItemsMistake::Items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn page(said: &[&str], asked: &ItemsAsked) -> Value {
        serde_json::from_slice(&item_page(said, asked).unwrap()).unwrap()
    }

    proptest! {
        /// Page by page one sees every item once, in order.
        #[test]
        fn the_pages_together_are_all_items_in_order(turns in prop::collection::vec(0usize..4, 0..5), limit in 1usize..4, oldest_first: bool) {
            let mut number = 0;
            let said: Vec<String> = turns.iter().map(|turn| {
                let items: Vec<Value> = (0..*turn).map(|_| { number += 1; json!({"id": format!("i{number}"), "n": number}) }).collect();
                json!(items).to_string()
            }).collect();
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            let mut asked = ItemsAsked { limit, oldest_first, after: None };
            let mut seen = Vec::new();
            loop {
                let page = page(&said, &asked);
                let ids: Vec<String> = page["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
                prop_assert_eq!(page["first_id"].as_str().unwrap(), ids.first().map_or("", String::as_str));
                prop_assert_eq!(page["last_id"].as_str().unwrap(), ids.last().map_or("", String::as_str));
                prop_assert!(ids.len() <= limit);
                seen.extend(ids);
                if page["has_more"] == false {
                    break;
                }
                asked.after = seen.last().cloned();
            }
            let mut expected: Vec<String> = (1..=number).map(|number| format!("i{number}")).collect();
            if !oldest_first {
                expected.reverse();
            }
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn an_item_that_is_not_there_and_what_are_no_items_are_mistakes() {
        let after = ItemsAsked { limit: 1, oldest_first: true, after: Some("x".to_owned()) };
        assert_eq!(item_page(&["[{\"id\":\"a\"}]"], &after), Err(ItemsMistake::After));
        let asked = ItemsAsked { limit: 1, ..ItemsAsked::default() };
        for wrong in ["{}", "[{}]", "[7]", "["] {
            assert_eq!(item_page(&[wrong], &asked), Err(ItemsMistake::Items), "{wrong}");
        }
    }
}
