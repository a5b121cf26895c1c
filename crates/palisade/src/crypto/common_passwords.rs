//! The passwords that many people use, and what is easily made from them.
//!
//! What the list is: the words, names, runs of keys and well-known lines that published lists of
//! leaked passwords agree on, written down for this project; about 1900 of them. Few common
//! passwords have 15 characters, so the list holds short ones and [`is_common`] looks for the
//! commonest ways in which people make long ones from one of them.
//!
//! What it is not: a list of leaked passwords. It knows nothing of the hundreds of millions that
//! were leaked once, nor of words in most languages. It is one wall of several; throttles, the
//! length and the cost of a hash are the others.
//!
//! Whoever puts several words together is let through, however common each of them is: refusing
//! phrases by their parts would be a rule of composition, which NIST SP 800-63B-4 forbids.

use zeroize::Zeroizing;

/// The shortest piece of a run of keys that counts.
const SHORTEST_RUN: usize = 4;

/// The shortest word that counting up behind it does not make any better.
const SHORTEST_WORD: usize = 6;

/// Returns whether `password` is common: an entry of the list or a run of keys, one entry
/// repeated, a digit repeated, or an entry with a count or a few digits and marks behind it.
///
/// Capitals do not count. A single letter repeated is not on the list.
pub(super) fn is_common(password: &str) -> bool {
    let lower = Zeroizing::new(password.to_lowercase());
    let is_digit_repeated = |text: &str| {
        let first = text.bytes().next().filter(u8::is_ascii_digit);
        first.is_some_and(|first| text.bytes().all(|byte| byte == first))
    };
    is_digit_repeated(&lower)
        || [lower.as_str(), without_tail(&lower)]
            .iter()
            .any(|text| is_run(text) || units(text).any(is_entry))
        || is_entry_and_count(&lower)
}

/// Cuts off up to five groups of equal characters that are no letters.
fn without_tail(mut text: &str) -> &str {
    for _ in 0..5 {
        match text.chars().next_back() {
            Some(last) if !last.is_alphabetic() => text = text.trim_end_matches(last),
            _ => break,
        }
    }
    text
}

/// Returns `text`, and every text of which it is a whole-number repetition.
fn units(text: &str) -> impl Iterator<Item = &str> {
    let is_unit = |unit: &&str| {
        text.len().is_multiple_of(unit.len())
            && text.as_bytes().chunks(unit.len()).all(|part| part == unit.as_bytes())
    };
    (1..=text.len()).filter_map(|end| text.get(..end)).filter(is_unit)
}

/// Tells whether `text` is an entry with counting behind it, such as `password1234567`.
fn is_entry_and_count(text: &str) -> bool {
    let word = text.trim_end_matches(|character: char| character.is_ascii_digit());
    let starts = word.len().max(SHORTEST_WORD)..text.len();
    starts
        .filter_map(|start| text.split_at_checked(start))
        .any(|(word, count)| is_entry(word) && COUNTS.iter().any(|run| run.starts_with(count)))
}

fn is_entry(text: &str) -> bool {
    COMMON.binary_search(&text).is_ok()
}

fn is_run(text: &str) -> bool {
    text.len() >= SHORTEST_RUN && RUNS.iter().any(|run| run.contains(text))
}

/// How people count up behind a word.
static COUNTS: [&str; 3] = ["12345678901234567890", "01234567890123456789", "98765432109876543210"];

/// Keys in the order of a keyboard, an alphabet or counting; every piece of one is common.
static RUNS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba",
    "01234567890123456789",
    "98765432109876543210",
    "1234567891011121314151617181920",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertyuiop[]asdfghjkl;'zxcvbnm,./",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "mnbvcxzlkjhgfdsapoiuytrewq",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "!qaz@wsx#edc$rfv%tgb^yhn&ujm*ik<(ol>)p:?",
    "1qa2ws3ed4rf5tg6yh7uj8ik9ol0p",
    "zaq12wsxcde34rfvbgt56yhnmju78ik,",
    "zaq1xsw2cde3vfr4bgt5nhy6mju7",
    "qazwsxedcrfvtgbyhnujmikolp",
    "plokmijnuhbygvtfcrdxeszwaq",
    "1q2w3e4r5t6y7u8i9o0p-[=]",
    "q1w2e3r4t5y6u7i8o9p0",
    "1a2s3d4f5g6h7j8k9l0",
    "a1s2d3f4g5h6j7k8l9",
    "1z2x3c4v5b6n7m",
    "a1b2c3d4e5f6g7h8i9j0k1l2m3",
    "1a2b3c4d5e6f7g8h9i0j1k2l3m",
    "!@#$%^&*()_+",
    "1!2@3#4$5%6^7&8*9(0)",
    "147258369",
    "789456123",
    "йцукенгшщзхъфывапролджэячсмитьбю",
];

/// The entries, lower case, in byte order for the binary search.
#[rustfmt::skip]
static COMMON: &[&str] = &[
    "!qaz2wsx", "!qaz@wsx", "007007", "012", "0123", "0246813579", "0987", "09876", "098765",
    "0987654321", "1001", "100200", "100200300", "101010", "10101010", "102030", "10203040",
    "1020304050", "11112222", "1111222233334444", "111222333", "111222333444", "111222333444555",
    "112233", "11223344", "1122334455", "11235813", "1123581321", "112358132134", "1212", "121212",
    "12121212", "122333", "1223334444", "122333444455555", "122333444455556666", "123", "123123",
    "123123123", "123321", "12341234", "1234321", "12344321", "123454321", "12345654321",
    "123456654321", "1234567654321", "12345678987654321", "1234abcd", "1234qwer", "123581321",
    "123654", "123654789", "123698745", "123789", "123789456", "123abc", "123qwe", "123qweasd",
    "123qweasdzxc", "1313", "131313", "1314520", "13145201314", "1357", "13579", "135790",
    "1357924680", "13579246810", "147", "147147", "147258", "147258369", "1472583690", "147852",
    "147852369", "1478963", "14789632", "147896325", "159357", "159357456", "159753", "159951",
    "161803398874989", "1980", "1981", "1982", "1983", "1984", "1985", "1986", "1987", "1988",
    "1989", "1990", "1991", "1992", "1993", "1994", "1995", "1996", "1997", "1998", "1999",
    "1a2b3c", "1a2b3c4d", "1q2w3e", "1q2w3e4r", "1q2w3e4r5t", "1q2w3e4r5t6y", "1qaz", "1qaz2wsx",
    "1qaz2wsx3edc", "1qaz@wsx", "1qazxsw2", "1z2x3c4v", "2000", "2001", "2002", "2003", "2004",
    "2005", "2006", "2007", "2008", "2009", "2010", "2011", "2012", "2013", "2014", "2015", "2016",
    "2017", "2018", "2019", "2020", "2021", "2022", "2023", "2024", "2025", "2026", "2468",
    "246810", "24681012", "258", "2580", "25802580", "258456", "27182818284590", "271828182845904",
    "2pac", "2wsx", "314159", "3141592", "31415926", "314159265", "3141592653", "31415926535",
    "314159265358", "3141592653589", "31415926535897", "314159265358979", "3141592653589793", "321",
    "321321", "321654", "321654987", "369", "420420", "456", "456123", "456321", "456456", "456789",
    "456852", "50cent", "5201314", "520520", "654", "6969", "696969", "69696969", "741852",
    "741852963", "753951", "7758521", "786786", "789", "789456", "789456123", "789654123", "789789",
    "852456", "911911", "951753", "963852741", "987", "987654", "987987", "a1b2c3", "a1b2c3d4",
    "a1s2d3f4", "aaaabbbb", "aaabbb", "aaabbbccc", "aabbcc", "aabbccdd", "abc", "abc123", "abc1234",
    "abc12345", "abcabc", "abcd", "abcd123", "abcd1234", "abcde", "abcde12345", "abcdef",
    "abcdef123456", "abcdefg", "abcdefg1", "abcdefgh", "abcdefghi", "abcdefghij", "abcdefghijkl",
    "abracadabra", "access", "access14", "acdc", "achilles", "acmilan", "adgangskode", "admin",
    "admin!", "admin1", "admin12", "admin123", "admin1234", "admin12345", "administrator",
    "adriana", "ajax", "alejandra", "alejandro", "alexander", "alexandra", "alexandru",
    "alhamdulillah", "allah", "allah1", "allahuakbar", "allyouneedislove",
    "allyourbasearebelongtous", "alohomora", "always", "alwaysandforever", "amanda", "amanda1",
    "amazon", "amber", "amber1", "america", "america1", "american", "amor", "amore", "amoremio",
    "amoremio1", "amormio", "andrea", "andrew", "angel", "angel1", "angel123", "angelica",
    "angelito", "angelo", "angels", "anonymous", "anotherbrickinthewall", "anthony", "anthony1",
    "antichrist", "antidisestablishmentarianism", "antonio", "anything", "apollo", "apollo11",
    "apollo13", "apple123", "april", "aq1sw2de3", "argentina", "arsenal", "arsenal1", "arsenalfc",
    "asd", "asd123", "asdasd", "asdf", "asdf123", "asdf1234", "asdfasdf", "asdfg", "asdfgh",
    "asdfghj", "asdfghjk", "asdfghjkl", "ashley", "ashley1", "assalamualaikum", "asshole",
    "asshole1", "athena", "august", "australia", "autumn", "avadakedavra", 
    "averylongpasswordindeed", "azerty", "azertyuiop", "baby123", "babybear", "babyblue", "babyboy",
    "babyboy1", "babyface", "babygirl", "babygirl1", "badboy", "badgirl", "badpassword", "bailey",
    "bailey1", "bambina", "banana", "bananas", "bangladesh", "barbie", "barbie1", "barcelona",
    "barcelona1", "bartman", "baseball", "baseball1", "basketball", "basketball1", "basketball12",
    "bassist", "batman", "batman1", "batman123", "bayern", "bayernmunich", "beammeupscotty",
    "beatles", "beautiful", "beautiful1", "beckham", "behappy", "bella", "bella1", "bellissima",
    "benfica", "benjamin", "berlin", "bestfriend", "bestfriends", "bestfriends1",
    "bestfriendsforever", "bestpassword", "beyonce", "bff4ever", "bigbang", "bigboy", "bigdaddy",
    "bigdog", "biggie", "biggirl", "bigmac", "bigmoney", "billionaire", "birthday", "birthday1",
    "bismillah", "bismillah786", "bitch", "bitch1", "bitches", "black123", "blackcat",
    "blackdragon", "blackhawks", "blackie", "blackpink", "blacky", "blank", "blessed", "blessed1",
    "blessing", "blink182", "blue123", "blueblue", "bluedragon", "bluesky", "bocajuniors",
    "bohemianrhapsody", "bonita", "bonjovi", "boobies", "boobs", "boyfriend", "brandon", "brandon1",
    "brasil", "brazil", "brian", "britney", "britneyspears", "brittany", "brittany1", "broncos",
    "brooklyn", "brooklyn1", "brother", "brothers", "brownie", "bruins", "bts", "bts123", "btsarmy",
    "buddha", "bugsbunny", "bulbasaur", "bulls", "bullshit", "buster", "buster1", "butterfly",
    "butterfly1", "butterscotch", "california", "callofduty", "camaro", "canada", "canada1",
    "candy", "candy1", "candycane", "candyman", "captain", "captainamerica", "carlos", "carlos1",
    "carolina", "carpediem", "cash", "cashmoney", "catwoman", "celtic", "celtics", "changeit",
    "changeme", "changeme1", "changeme123", "changemenow", "changemeonfirstlogin", "changemeplease",
    "changethis", "changethispassword", "charizard", "charlie", "charlie1", "cheerleader",
    "cheerleading", "cheese", "cheese1", "chelsea", "chelsea1", "chelseafc", "chevrolet", "chevy",
    "chewbacca", "chicago", "chicago1", "chicagobulls", "chile", "chloe", "chloe1", "chocolate",
    "chocolate1", "christ", "christian", "christian1", "christina", "christmas", "christmas1",
    "christopher", "cielo", "cinderella", "cinderella1", "cisco", "claudia", "coco",
    "cogitoergosum", "colombia", "colombia1", "computer", "computer1", "computer123", "contrasena",
    "contrasenya", "contraseña", "cookie", "cookie1", "cookie123", "cookiemonster", "cookies",
    "coolcat", "cooldude", "coolgirl", "coolio", "corazon", "corinthians", "corvette",
    "counterstrike", "courtney", "cowboys", "cowboys1", "cricket", "cristiano", "cristianoronaldo",
    "crystal", "crystal1", "cupcake", "cupcake1", "cyber", "cyberpunk", "daddy", "daddy1",
    "daddysgirl", "daisy", "daisy1", "dallas", "dallascowboys", "dance", "dance1", "dancer",
    "dancer1", "dancing", "daniel", "daniel1", "daniela", "danielle", "darkangel", "darkknight",
    "darkness", "darkside", "darksideofthemoon", "darkstar", "darthvader", "database", "david",
    "david1", "deathmetal", "debian", "december", "default", "defaultpassword", "demo", "demo123",
    "demon", "desktop", "deutschland", "developer", "devil", "devil666", "diablo", "diamond",
    "diamond1", "diamonds", "dickhead", "digimon", "directioner", "disney", "disneyland", "docker",
    "dollar", "dollars", "dolorsitamet", "dolphin", "dolphin1", "dolphins", "donaldduck",
    "donaudampfschifffahrtsgesellschaft", "dontforget", "dontforgetme", "dontpanic",
    "dontstopbelieving", "dontstopmenow", "dontworrybehappy", "dota", "dota2", "dragon", "dragon1",
    "dragon12", "dragon123", "dragonball", "dragonballz", "dragons", "drake", "drowssap", "drummer",
    "drums", "ducati", "dumbledore", "eagle", "eagle1", "eagles", "eagles1", "easypassword",
    "eduardo", "edwardcullen", "eeyore", "einszweidrei", "elasticsearch", "elementarymydearwatson",
    "elizabeth", "elizabeth1", "elvis", "elvispresley", "emerald", "eminem", "eminem1", "england",
    "england1", "enterpassword", "eric", "espana", "estrella", "everlasting", "everton",
    "everything", "example", "examplepassword", "exoexo", "expectopatronum", "facebook", "faith",
    "faith1", "falcon", "falcons", "fallenangel", "fallout", "falloutboy", "family", "family1",
    "family4", "father", "fcbarcelona", "february", "fernanda", "fernando", "ferrari", "feyenoord",
    "finalfantasy", "firstlogin", "flamengo", "florida", "flower", "flower1", "flowers", "flyers",
    "followthewhiterabbit", "football", "football1", "football12", "football123", "forever",
    "forever1", "foreverlove", "forgetpassword", "forgot", "forgotpassword", "fortnite", "france",
    "francisco", "freedom", "freedom1", "friday", "friend", "friends", "friends1", "friendsforever",
    "friendship", "frodo", "fucker", "fuckers", "fuckit", "fuckme", "fuckoff", "fuckthis",
    "fuckyou", "fuckyou1", "fuckyou123", "fuckyou2", "gabriel", "gabriela", "gamecube",
    "gameofthrones", "gamer", "gamer123", "gandalf", "ganesh", "gangsta", "gangsta1", "gangster",
    "garfield", "george", "george1", "germany", "geslo", "getmoney", "ghost", "ghost1",
    "ghostrider", "giants", "ginger", "ginger1", "girlfriend", "gladiator", "glasgowrangers",
    "gmail", "godbless", "godblessme", "godblessyou", "godfirst", "godisable", "godisgood",
    "godisgoodallthetime", "godisgreat", "godislove", "godisone", "goku", "golden", "goldfish",
    "goodpassword", "google", "gorgeous", "grace", "grace1", "grafana", "green1", "greenday",
    "greenday1", "gryffindor", "guardian", "guest", "guest123", "guitar", "guitar1", "gunsnroses",
    "gymnastics", "hacker", "hacker1", "hackers", "hakunamatata", "hallelujah", "halloween", "halo",
    "halo123", "halo2", "hannah", "hannah1", "hannahmontana", "hansolo", "happilyeverafter",
    "happiness", "happy", "happy1", "happy123", "happybirthday", "happybirthdaytome",
    "happybirthdaytoyou", "happyday", "happydays", "happygirl", "happyness", "happynewyear",
    "hardware", "harekrishna", "harley", "harry", "harrypotter", "haslo", "hastalavista",
    "hastalavistababy", "hawaii", "heat", "heather", "heaven", "heavymetal", "hellfire", "hello",
    "hello1", "hello12", "hello123", "hello1234", "hellohello", "hellokitty", "hellokitty1",
    "hellothere", "helloworld", "henry", "hercules", "hereicomes", "hermione", "hermosa", "heslo",
    "heyjude", "highschoolmusical", "highwaytohell", "hinata", "hiphop", "hithere", "hobbit",
    "hockey", "hockey1", "hocuspocus", "hogwarts", "homer", "honda", "honey", "honey1", "honeybear",
    "honeybee", "hotelcalifornia", "hotmail", "hotstuff", "hottie", "hottie1",
    "houstonwehaveaproblem", "hulk", "humptydumpty", "hungary", "hunter", "hunter1", "hunter123",
    "hunter2", "husband", "iamawesome", "iambatman", "iamcool", "iamgod", "iamironman", "iamlegend",
    "iamthebest", "iamtheone", "iamyourfather", "ichliebedich", "idontcare", "idontknow",
    "idontremember", "iforgot", "iforgotmypassword", "ihatemyself", "ihatepasswords", "ihatethis",
    "ihateu", "ihateyou", "illbeback", "illuminati", "ilovecats", "ilovechocolate", "ilovedogs",
    "ilovegod", "ilovehim", "ilovejesus", "ilovejohn", "iloveme", "iloveme1", "ilovemike",
    "ilovemusic", "ilovemycat", "ilovemydad", "ilovemydaughter", "ilovemydog", "ilovemyfamily",
    "ilovemyhusband", "ilovemykids", "ilovemymom", "ilovemyself", "ilovemyson", "ilovemywife",
    "iloveu", "iloveu1", "iloveu2", "iloveyou", "iloveyou1", "iloveyou12", "iloveyou123",
    "iloveyou2", "iloveyou3", "iloveyouall", "iloveyoubaby", "iloveyouforever", "iloveyoujesus",
    "iloveyoumom", "iloveyousomuch", "impossibleisnothing", "imthebest", "india123", "indonesia",
    "inferno", "ingodwetrust", "initialpassword", "insecure", "insertpassword", "instagram",
    "insyaallah", "intermilan", "internet", "internet1", "inthebeginning", "iphone", "ireland",
    "ironmaiden", "ironman", "ironman1", "isabella", "iseedeadpeople", "istanbul", "italia",
    "italy", "jack", "jackson", "jaguar", "jaishreeram", "james", "james1", "jamesbond",
    "jamesbond007", "january", "jasmine", "jasmine1", "jason", "jelszo", "jenkins", "jennifer",
    "jessica", "jessica1", "jesus", "jesus1", "jesus123", "jesuschrist", "jesusisking",
    "jesusislord", "jesusismysavior", "jesusisthelord", "jesusisthereason", "jesuslovesme",
    "jesussaves", "jetaime", "jinglebells", "jinglebellsjinglebells", "john", "johncena", "johnny",
    "joker", "jokerjoker", "jonasbrothers", "jonathan", "jordan", "jordan1", "jordan123",
    "jordan23", "jose", "josemaria", "joseph", "joshua", "joshua1", "juancarlos", "july",
    "jumpsoverthelazydog", "june", "jupiter", "justdoit", "justdoit1", "justin", "justin1",
    "justinbieber", "justkeepswimming", "juventus", "katherine", "kawasaki", "kennwort", "kevin",
    "keyboard", "kibana", "killer", "killer1", "killer123", "kimberly", "king", "kings", "kitten",
    "kitten1", "kitty", "kitty1", "kittycat", "kittykat", "knight", "knockingonheavensdoor",
    "knockknock", "kocham", "kochamcie", "krishna", "kubernetes", "lakers", "lakers1", "lakers24",
    "lamborghini", "laptop", "laughoutloud", "lauren", "leagueoflegends", "ledzeppelin", "letitbe",
    "letitgo", "letitsnow", "letmein", "letmein1", "letmein123", "letmeinnow", "letmeinplease",
    "letmepass", "liberty", "lifegoeson", "lifeisbeautiful", "lifeisgood",
    "lifeislikeaboxofchocolates", "lightning", "lilwayne", "linkedin", "linkinpark", "linkinpark1",
    "linux", "lion", "lionelmessi", "lions", "liveandletdie", "liveandletlive", "livefreeordie",
    "livelaughlove", "livelongandprosper", "livelovelaugh", "liverpool", "liverpool1",
    "liverpoolfc", "liveyourlife", "lkjhg", "lkjhgfdsa", "login", "login123", "lola", "lola123",
    "london", "london1",  "lordjesus", "lordoftherings", "loremipsum",
    "loremipsumdolor", "loremipsumdolorsitamet", "losangeles", "losenord", "loveforever",
    "lovelove", "lovely", "lovely1", "loveme", "loveme1", "lover", "loverboy", "lovergirl",
    "lovers", "loveyou", "loveyou1", "lozinka", "lucifer", "lucky", "lucky1", "lucky13", "lucky7",
    "lucky777", "luigi", "luis", "lukeiamyourfather", "lukeskywalker", "lösenord", "madonna",
    "maggie", "maggie1", "magic", "magic1", "magician", "makemoney", "malaysia", "mama", "mamamama",
    "mamapapa", "mamita", "manchester", "manchesterunited", "mancity", "manunited", "manutd",
    "maradona", "maria", "mariajose", "mariana", "mario", "mark", "maryhadalittlelamb", "mashallah",
    "master", "master1", "master123", "matrix", "matrix1", "matthew", "matthew1", "maverick",
    "maverick1", "mavericks", "max", "maximus", "maxwell", "maytheforcebewithyou",
    "maythefourthbewithyou", "megadeth", "melissa", "melissa1", "memorablepassword", "mercedes",
    "mercury", "merlin", "merrychristmas", "messi", "messi10", "metallica", "metallica1", "mexico",
    "mexico1", "michael", "michael1", "michaeljackson", "michaeljordan", "michelle", "michelle1",
    "mickey", "mickeymouse", "micorazon", "microsoft", "midnight", "midnight1", "miguel", "million",
    "millionaire", "mima", "minecraft", "minecraft1", "minecraft123", "minnie", "minniemouse",
    "mivida", "mnbvc", "mnbvcxz", "mohammad", "mohammed", "molly", "mommy", "mommy1", "monday",
    "money", "money1", "money123", "moneymoney", "mongodb", "monica", "monitor", "monkey",
    "monkey1", "monkey12", "monkey123", "monkeys", "moonlight", "moonlight1", "moscow",
    "motdepasse", "mother", "mother1", "motherfucker", "muhammad", "mummy", "mummy1", "music",
    "music1", "musica", "mustang", "myangel", "mybaby", "mybestfriend", "mychemicalromance",
    "myfamily", "mylife", "mylife1", "mylove", "mylove1", "mymother", "mypass", 
    "mypasswordis", "mypasswordismypassword", "mypasswordispassword", "myprecious", "myspace",
    "mysql", "mystic", "naruto", "naruto1", "narutouzumaki", "natalie", "natasha", "neptune",
    "network", "neverforget", "neverforgetme", "nevergiveup", "nevergonnagiveyouup", "neversaydie",
    "neversaynever", "newcastle",  "newyork", "newyork1", "newyorkcity", "neymar",
    "neymarjr", "nicholas", "nicole", "nicole1", "nightmare", "nimda", "ninja", "ninja1",
    "nintendo", "nirvana", "nirvana1", "nissan", "no1knows", "nobody", "nokia", "none", "noone",
    "nopass", "nopassword", "nosecurity", "nothing", "nothing1", "nothingisimpossible", "notsecure",
    "november", "null", "number1", "numberone", "october", "oldmacdonald",  "oliver",
    "oliver1", "omnamahshivay", "omsairam", "onceuponatime", "onedirection", "onedirection1",
    "onepiece", "oneringtorulethemall", "onetwothree", "onetwothreefour", "onetwothreefourfive",
    "onetwothreefourfivesix", "open123", "opensesame", "opensource", "openthedoor", "openup",
    "oracle", "orange", "orange1", "oscar", "p@ssw0rd", "p@ssw0rd1", "p@ssw0rd123", "p@ssword",
    "p@ssword1", "p@ssword123", "pa$$word", "pa55w0rd", "pa55word", "packers", "pacman", "pakistan",
    "pakistan1", "pakistan123", "palmeiras", "pantera", "panther", "panthers", "papa", "papito",
    "paramore", "paris", "parisfrance", "parola", "parool", "pass", "pass1", "pass12", "pass123",
    "pass1234", "passpass", "passw0rd", "passw0rd1", "passw0rd123", "passwd", "password",
    "password!", "password1", "password12", "password123", "password1234", "passwordhere",
    "passwordispassword", "passwordless", "passwordqwerty", "passwords", "passwort", "patricia",
    "patrick", "patriots", "paul", "peanut", "peanut1", "peanutbutter", "penguins", "pepper",
    "peppermint", "peru", "peter", "phantom", "philippines", "phoenix", "phoenix1", "piano",
    "piglet", "pikachu", "pilipinas", "pimpin", "pinkfloyd", "pinkpink", "pinky", "pirate",
    "pirates", "playboy", "playboy1", "player", "player1", "playstation", "playstation3",
    "pleasechange", "pleasechangeme", "pleaseletmein", "pluto",
    "pneumonoultramicroscopicsilicovolcanoconiosis", "poiuy", "poiuytrewq", "pokemon", "pokemon1",
    "pokemon123", "poland", "polska", "polska1", "poohbear", "pornstar", "porsche", "porto",
    "postgres", "postgresql", "preciosa", "precious", "precious1", "prince", "princesa", "princess",
    "princess1", "princess12", "princess123", "programmer", "prometheus", "puppy", "puppy1",
    "puppylove", "purple", "purple1", "purplehaze", "purplerain", "pussy", "pussycat", "q1w2e3",
    "q1w2e3r4", "q1w2e3r4t5", "q1w2e3r4t5y6", "qaz", "qazwsx", "qazwsx123", "qazwsxedc",
    "qazwsxedcrfv", "queen", "queenqueen", "quickbrownfox", "qwe", "qwe123", "qweasd", "qweasdzxc",
    "qweasdzxc123", "qweqwe", "qwer", "qwer1234", "qwerty", "qwerty!", "qwerty1", "qwerty12",
    "qwerty123", "qwerty1234", "qwerty12345", "qwerty123456", "qwertypassword", "qwertyu",
    "qwertyui", "qwertyuiop", "qwertz", "qwertzuiop", "rabbitmq", "rachel", "raiders", "raiders1",
    "rainbow", "rainbow1", "rainbow6", "randompassword", "ranger", "ranger1", "rangers",
    "raspberry", "raspberrypi", "realmadrid", "rebecca", "reddragon", "redred", "redskins",
    "redsox", "redwings", "remember", "rememberme", "resetpassword", "resistanceisfutile",
    "ricardo", "richard", "richman", "rihanna", "riverplate", "robert", "roberto", "roblox",
    "roblox123", "rockandroll", "rocknroll", "rockstar", "rockstar1", "rocky", "rocky1",
    "rollingstones", "romania", "ronaldinho", "ronaldo", "ronaldo7", "root", "rootroot",
    "rowrowrowyourboat", "ruby", "rugby", "russia", "ryan", "sadie", "saibaba", "sakura",
    "salasana", "samantha", "samantha1", "sammy", "sammy1", "sample", "samsung", "samurai",
    "sandra", "sanfrancisco", "santos", "saopaulo", "sapphire", "sarah", "sarang", "sasuke",
    "satan", "satan666", "saturday", "saturn", "scooby", "scooby1", "scoobydoo", "scotland",
    "sebastian", "secret", "secret1", "secret123",  "securepassword", "security",
    "security1", "senha", "senha123", "sephiroth", "september", "server", "sesame", "sexsex",
    "sexy", "sexy1", "sexy123", "sexybaby", "sexygirl", "sexylady", "shadow", "shadow1", "shadow12",
    "shadow123", "shakira", "shalom", "shithead", "sifre", "silver", "silver1", "simplepassword",
    "simpsons", "singapore", "singer", "sister", "sister1", "sisters", "sixseveneight",
    "skateboard", "skateboarding", "skywalker", "slaptazodis", "slimshady", "slipknot", "slipknot1",
    "slytherin", "smellsliketeenspirit", "smile", "smile1", "smiles", "smiley", "snoopdogg",
    "snoopy", "snowboard", "snowboarding", "snowwhite", "soccer", "soccer1", "soccer12",
    "soccer123", "softball", "software", "solongandthanksforallthefish", "something", "sonic",
    "sonic123", "sony", "sophie", "southpark", "spartan", "spartan117", "spartans", "spiderman",
    "spiderman1", "spongebob", "spongebob1", "sporting", "spring", "spring1", "spurs",
    "stairwaytoheaven", "starcraft", "stardust", "starlight", "startrek", "starwars", "starwars1",
    "steam", "steelers", "steelers1", "stephanie", "steven", "strawberry", 
    "sugar", "summer", "summer1", "summer12", "summer123", "summertime", "sunday", "sunshine",
    "sunshine1", "sunshine12", "sunshine123", "supercalifragilisticexpialidocious", "supercool",
    "superhero", "superman", "superman1", "superman123", "supermario", 
      "superstar", "superstar1", "suzuki", "sweetchildomine",
    "sweetheart", "sweetie", "sweetie1", "sweetpea", "sweety", "swimming", "system", "system32",
    "taylor", "taylorswift", "teamo", "teamo1", "teamoamor", "teamomucho", "technology", "teddy",
    "teddybear", "teddybear1", "temp", "temp123", "temporary", "tennis", "tequiero",
    "tequieromucho", "tesoro", "test", "test1", "test12", "test123", "test1234", 
    "tester", "testing", "testing123",  "testtest",  "tetris", "texas",
    "thailand", "thatisthequestion", "theansweris42", "theanswertolife", "thebeatles", "thebest",
    "thebest1", "thebestever", "theboywholived", "thecakeisalie", "theforcebewithyou", "thelazydog",
    "thepassword", "thepasswordis", "thepasswordispassword", "thequickbrownfox",
    "thequickbrownfoxjumpedover", "thequickbrownfoxjumpedoverthelazydog", "thequickbrownfoxjumps",
    "thequickbrownfoxjumpsover", "thequickbrownfoxjumpsoverthelazydog", "thereisnospoon",
    "thinkdifferent",   "thisismypass", "thisismypassword",
     "thomas", "thomas1", "thor", "thunder", "thunder1", "thunderbird", "thursday",
    "tiamo", "tiamo123", "tiffany", "tiger", "tiger1", "tigers", "tigger", "tigger1", "tinkerbell",
    "tinkerbell1", "tobeornottobe", "tobeornottobethatisthequestion", "todayisagoodday",
    "todayisagoodday2die", "toinfinityandbeyond", "tokyo", "tomcat", "toor", "topsecret",
    "tottenham", "toyota", "trojan", "trojans", "truelove", "trumpet", "trustme", "trustno1",
    "trustnoone", "tset", "tuesday", "tupac", "turkiye", "tweety", "tweety1", "tweetybird",
    "twilight", "twilight1", "twinklelittlestar", "twinkletwinklelittlestar", "twitter",
    "twothreefourfive", "tyler", "tyler1", "ubnt", "ubuntu", "ukraine", "undefined", "undeuxtrois",
    "unicorn", "unicorns", "unknown", "unodostres", "usa123", "usausa", "user", "user123",
    "username", "usetheforce", "usetheforceluke", "vagrant", "valarmorghulis", "valentina",
    "valentine", "vampire", "vampire1", "vampires", "vanessa", "vegeta", "venezuela",
    "venividivici", "veronica",   "victoria", "vietnam", "violin",
    "voldemort", "volleyball", "wachtwoord", "waheguru", "warcraft", "warrior", "warriors", "wasd",
    "wasdwasd", "wearethechampions", "wearetheworld", "weblogic", "website", "wednesday", "welcome",
    "welcome!", "welcome1", "welcome12", "welcome123", "welcome2", "welcometohell",
    "welcometomyworld", "welcometothejungle", "westham", "westhamunited", "wewillrockyou",
    "whatever", "whatever1", "whatismypassword", "whatsapp", "whatsmypassword", "whatsup",
    "whitecat", "whitedragon", "whiterabbit", "whoami", "wife", "william", "windows",
    "wingardiumleviosa", "winniethepooh", "winter", "winter1", "winter123", "winteriscoming",
    "wireless", "wizard", "wolverine", "wonderwoman", "wordpass", "worldofwarcraft", "wrestling",
    "wsx", "wsxedc", "xbox", "xbox360", "xyz", "yahoo", "yamaha", "yankees", "yankees1", "yellow",
    "yellowsubmarine", "yeswecan", "youllneverwalkalone",  
    "youshallnotpass", "youtube", "ytrewq", "z1x2c3v4", "zaq1", "zaq12wsx", "zaq1xsw2", "zaq1zaq1",
    "zelda", "zeus", "zidane", "zoe", "zxc", "zxc123", "zxcv", "zxcv1234", "zxcvb", "zxcvbn",
    "zxcvbnm", "zxcvbnm1", "zxczxc", "zyxwvu", "йцукен", "йцукенгшщзхъ", "пароль", "фывапролджэ",
    "ячсмить",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_list_is_sorted_lower_case_and_without_single_characters_repeated() {
        assert!(COMMON.is_sorted_by(|left, right| left < right));
        for entry in COMMON {
            assert_eq!(*entry, entry.to_lowercase());
            assert!(entry.len() >= 3, "{entry}");
            assert!(units(entry).all(|unit| unit.chars().count() > 1), "{entry}");
        }
    }

    #[test]
    fn what_many_people_use_is_common() {
        for password in [
            "123456789012345",
            "1234567890123456",
            "12345678901234567890",
            "098765432109876",
            "123123123123123",
            "111111111111111",
            "0000000000000000",
            "1qa2ws3ed4rf5tg",
            "qwertyuiopasdfgh",
            "QWERTYUIOPASDFGHJKL",
            "1q2w3e4r5t6y7u8i",
            "1qaz2wsx3edc4rfv",
            "!QAZ@WSX#EDC$RFV",
            "abcdefghijklmno",
            "passwordpassword",
            "PasswordPassword",
            "passwordpassword1",
            "passwordpassword2024!",
            "Password123456789",
            "password1234567",
            "Password12345678!",
            "P@ssw0rdP@ssw0rd",
            "iloveyouiloveyou",
            "iloveyou12345678",
            "iloveyou2024!!!",
            "letmeinletmeinletmein",
            "qwertyqwertyqwerty",
            "thequickbrownfox",
            "adminadminadmin",
            "admin123admin123",
            "changemechangeme",
            "manchesterunited",
            "supercalifragilisticexpialidocious",
            "tobeornottobethatisthequestion",
            "йцукенйцукенйцукен",
        ] {
            assert!(is_common(password), "{password}");
        }
    }

    #[test]
    fn what_few_people_use_is_not() {
        for password in [
            "aaaaaaaaaaaaaaa",
            "               ",
            "ababababababababab",
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "it was a dark and stormy evening",
            "orchid gravel mitten walnut",
            "summer winter monkey dragon tiger",
            "monkey dragon tiger",
            "the quick brown fox jumps over the lazy dog",
            "password for the blue bicycle shed",
            "a very long password indeed",
            "a-very-long-password-1",
            "test-password-123",
            "my dog's favourite cushion",
            "kX9#mQ2$vL7@pR4!",
            "q8fh2kslw93jfnq0",
            "4829104756183920",
            "das pferd frisst keinen gurkensalat",
            "горячий чай с лимоном",
            "統一碼密碼統一碼密碼一二三四五",
        ] {
            assert!(!is_common(password), "{password}");
        }
    }

    #[test]
    fn the_longest_and_worst_passwords_are_judged_quickly() {
        let start = std::time::Instant::now();
        for worst in
            ["1234".repeat(64), "abcdefghijklmnopqrstuvwxyz".repeat(9) + "!", "é".repeat(256)]
        {
            is_common(&worst);
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn an_entry_repeated_is_common_and_random_letters_are_not(
            entry in prop::sample::select(COMMON),
            times in 2..5_usize,
            random in "[a-z]{20}",
        ) {
            prop_assert!(is_common(&entry.repeat(times)), "{entry}");
            prop_assert!(!is_common(&random));
        }

        #[test]
        fn words_with_spaces_between_are_left_to_whoever_chose_them(
            words in prop::collection::vec("[a-z]{3,8}", 3..6),
        ) {
            prop_assert!(!is_common(&words.join(" ")));
        }
    }
}
