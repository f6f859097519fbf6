//! Text: names are found in every usual spelling, and names and texts have no characters that mislead people.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Service;

/// Names that people take for the same. Each spelling finds the cases of all others in its row, and of no other row.
const NAMES: [(&str, &[&str]); 27] = [
    ("umlaut", &["Jürgen Müller", "jurgen muller", "JÜRGEN MÜLLER"]),
    ("acute accent", &["José Peña", "jose pena", "JOSÉ PEÑA"]),
    ("NFC and NFD", &["Zoë Lefèvre", "Zoe\u{308} Lefe\u{300}vre", "zoe lefevre"]),
    (
        "two marks on a letter",
        &["Nguyễn Văn Bảo", "nguyen van bao", "Nguye\u{302}\u{303}n Va\u{306}n Ba\u{309}o"],
    ),
    ("ß and ss", &["Gereon Straße", "gereon strasse", "GEREON STRASSE"]),
    ("capital ẞ", &["KURT GROẞ", "Kurt Groß", "kurt gross"]),
    ("Turkish İ", &["İpek Çiçek", "ipek cicek", "I\u{307}pek C\u{327}ic\u{327}ek", "IPEK CICEK"]),
    ("Turkish ı", &["Yıldız Işık", "YILDIZ IŞIK", "yildiz isik"]),
    ("full-width letters", &["Ｔａｎａｋａ Ｋｅｎ", "tanaka ken", "ＴＡＮＡＫＡ　ＫＥＮ"]),
    ("half-width katakana", &["ﾔﾏﾀﾞ ﾊﾅｺ", "ヤマダ ハナコ"]),
    ("ligature", &["Conrad Griﬃth", "conrad griffith"]),
    ("final sigma", &["Οδυσσεύς", "ΟΔΥΣΣΕΎΣ", "οδυσσευς", "οδυσσευσ"]),
    ("curly apostrophe", &["Pat O’Neil", "pat o'neil", "Pat O‘Neil"]),
    (
        "modifier apostrophe, prime and accent",
        &["Dʼarcy Vane", "d'arcy vane", "D′arcy Vane", "D`arcy Vane", "D´arcy Vane"],
    ),
    ("hyphens", &["Amy Lloyd‑Webb", "amy lloyd-webb", "Amy Lloyd–Webb", "Amy Lloyd‐Webb", "Amy Lloyd—Webb"]),
    ("no-break spaces", &["Van\u{a0}Der\u{202f}Berg", "van der berg"]),
    ("Danish ø and å", &["Søren Kjærgård", "soren kjaergard", "SØREN KJÆRGÅRD"]),
    ("Polish ł", &["Michał Wałęsa", "michal walesa", "MICHAŁ WAŁĘSA"]),
    ("Croatian đ", &["Đorđe Đokić", "dorde dokic"]),
    ("Icelandic þ and ð", &["Þóra Guðrún", "thora gudrun", "ÞÓRA GUÐRÚN"]),
    ("œ", &["Anne Lecœur", "anne lecoeur", "ANNE LECŒUR"]),
    ("Maltese ħ", &["Ġorġ Ħaż", "gorg haz"]),
    ("Azerbaijani ə", &["Əli Məmmədov", "eli memmedov"]),
    ("Cyrillic", &["Семён Йовков", "СЕМЕН ИОВКОВ", "семен иовков"]),
    ("Arabic with and without vowels", &["مُحَمَّد", "محمد"]),
    ("Persian with and without a joiner", &["علی\u{200c}رضا", "علیرضا"]),
    (
        "Korean, composed and decomposed",
        &["김민준", "\u{1100}\u{1175}\u{11b7}\u{1106}\u{1175}\u{11ab}\u{110c}\u{116e}\u{11ab}"],
    ),
];

fn ids(page: &Value) -> Vec<u64> {
    page["cases"].as_array().unwrap().iter().map(|case| case["id"].as_u64().unwrap()).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The cases that a search finds, newest first. The list and the search find the same.
async fn found(service: &Service, words: &str) -> Vec<u64> {
    let path = format!("/api/v1/cases?limit=100&q={}", encoded(words));
    let listed = ids(&service.as_user("viewer", "GET", &path).send().await.expect(200));
    let search =
        service.as_user("viewer", "POST", "/api/v1/cases/search").json(json!({"limit": 100, "q": words}));
    assert_eq!(ids(&search.send().await.expect(200)), listed, "{words}");
    listed
}

#[tokio::test]
async fn a_name_is_found_in_every_spelling_that_people_take_for_the_same() {
    // By the index of words, and by the changes that are not in it yet.
    let indexed = Service::start_with_streams_tuned(|config| config.unindexed_age = Duration::ZERO).await;
    find_every_spelling(indexed, true).await;
    find_every_spelling(Service::start().await, false).await;
}

async fn find_every_spelling(service: Service, is_indexed: bool) {
    let mut rows = Vec::new();
    for (_, spellings) in NAMES {
        let mut row = Vec::new();
        for (number, spelling) in spellings.iter().enumerate() {
            let field = if number == 0 { "patient_name" } else { "case_name" };
            let case = service.create("admin", json!({"procedure_type": "Crown", field: spelling})).await;
            assert_eq!(case[field], *spelling, "a name is stored as it was sent");
            row.insert(0, case["id"].as_u64().unwrap());
        }
        rows.push(row);
    }
    if is_indexed {
        service.process_streams().await;
    }
    let mut variants = 0;
    for ((what, spellings), row) in NAMES.iter().zip(&rows) {
        for spelling in *spellings {
            assert_eq!(found(&service, spelling).await, *row, "{what}: {spelling}");
            variants += 1;
        }
    }
    assert!(variants >= 23 * 2, "{variants}");
    for (words, expected) in [
        // The words can be in any order, and with characters that are not seen.
        ("MÜLLER jürgen", &rows[0]),
        ("\u{202a}mull\u{ad}er\u{202c}", &rows[0]),
        ("ødysseus", &Vec::new()),
        ("mueller", &Vec::new()),
    ] {
        assert_eq!(found(&service, words).await, *expected, "{words}");
    }
    for nothing in ["\u{301}", "\u{200b} \u{feff}", "\u{a0}"] {
        let path = format!("/api/v1/cases?q={}", encoded(nothing));
        let reply = service.as_user("viewer", "GET", &path).send().await;
        let problem = reply.expect_problem(400, "invalid_parameter");
        assert_eq!(
            (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
            (&json!("/query/q"), &json!("blank"))
        );
    }
}

/// The pointers of a rejected case, all with the code `characters`.
async fn rejected(service: &Service, body: Value) -> Vec<String> {
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(body).send().await;
    let problem = reply.expect_problem(422, "validation_failed");
    assert!(
        problem["errors"].as_array().unwrap().iter().all(|error| error["code"] == "characters"),
        "{problem}"
    );
    reply.pointers()
}

fn with(text: &str) -> Value {
    let shade = json!({"shade_id": text, "shade_system": "custom", "shade_value": text, "shade_description": text, "notes": text});
    json!({
        "patient_name": text, "case_name": text, "description": text, "notes": text, "special_instructions": text,
        "patient_info": {"medical_history": text},
        "fixed_prosthetic": {"type": "crown", "material": "zirconia", "tooth_numbers": [3], "shade": shade},
    })
}

#[tokio::test]
async fn invisible_characters_are_rejected_in_names_and_misleading_ones_in_every_text() {
    let service = Service::start().await;
    let names = [
        "/patient_name",
        "/case_name",
        "/fixed_prosthetic/shade/shade_id",
        "/fixed_prosthetic/shade/shade_value",
    ];
    for invisible in
        ["\u{ad}", "\u{200b}", "\u{200d}", "\u{200f}", "\u{61c}", "\u{2060}", "\u{feff}", "\u{3164}"]
    {
        assert_eq!(rejected(&service, with(&format!("Ro{invisible}e"))).await, names, "{invisible:?}");
    }
    let every_text = [
        "/patient_name",
        "/case_name",
        "/description",
        "/notes",
        "/special_instructions",
        "/patient_info/medical_history",
        "/fixed_prosthetic/shade/shade_id",
        "/fixed_prosthetic/shade/shade_value",
        "/fixed_prosthetic/shade/shade_description",
        "/fixed_prosthetic/shade/notes",
    ];
    for misleading in ["\u{202a}", "\u{202e}", "\u{2067}", "\u{2069}", "\u{e0041}"] {
        assert_eq!(rejected(&service, with(&format!("Ro{misleading}e"))).await, every_text, "{misleading:?}");
    }
    assert_eq!(service.items(123).await.len(), 0);
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let reason = "Ro\u{202e}e";
    for (method, path, body) in [
        ("PUT", "/api/v1/cases/1", json!({"notes": "x", "reason": reason})),
        ("PATCH", "/api/v1/cases/1/status", json!({"status": "on_hold", "reason": reason})),
        ("POST", "/api/v1/cases/bulk-status", json!({"ids": [1], "status": "on_hold", "reason": reason})),
        ("POST", "/api/v1/cases/1/remakes", json!({"reason_code": "fit", "reason": reason})),
    ] {
        let reply = service.as_user("admin", method, path).json(body).send().await;
        let problem = reply.expect_problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["code"], "characters");
        assert_eq!(reply.pointers(), ["/reason"]);
    }
    let comment = service.as_user("admin", "POST", "/api/v1/cases/1/comments").json(json!({"text": reason}));
    let reply = comment.send().await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/text"]);
}

#[tokio::test]
async fn names_of_all_scripts_and_pasted_texts_are_stored_as_they_were_sent() {
    let service = Service::start().await;
    for name in [
        "علی\u{200c}رضا",
        "ශ්\u{200d}රී ලංකා",
        "ജോണ്\u{200d}",
        "葛\u{e0100}城",
        "אברהם בן־דוד",
        "Zoe\u{308}",
        "Roe,\tJane\n",
        "🦷 14",
    ] {
        let case = service.create("admin", json!({"procedure_type": "Crown", "patient_name": name})).await;
        assert_eq!(case["patient_name"], name);
    }
    let pasted = "\u{feff}Metal\u{ad}free\u{200b} crown 👩\u{200d}⚕\u{fe0f}\u{200f} …\r\nnext line";
    let case = service.create("admin", json!({"procedure_type": "Crown", "notes": pasted})).await;
    assert_eq!(case["notes"], pasted);
}
