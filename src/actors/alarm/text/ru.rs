//! Russian.

use super::{Words, span};
use crate::actors::alarm::event::{Alarm, Detail, Gaps, Kind};

/// See [`Words`].
pub(super) struct Ru;

impl Words for Ru {
    const MARKS: [&'static str; 3] = ["ТРЕВОГА", "НАПОМИНАНИЕ", "КОНЕЦ ТРЕВОГИ"];
    const MOMENT: &'static str = "%d.%m.%Y %H:%M:%S";
    const SINCE: &'static str = "С";

    fn more(count: usize) -> String {
        format!("(и ещё {count})")
    }

    fn span(seconds: f64) -> String {
        span(seconds, ["д", "ч", "мин", "с"])
    }

    fn alarm(alarm: &Alarm) -> (String, String) {
        let (node, subject) = (&alarm.key.node, &alarm.key.subject);
        let detail = detail(&alarm.detail);
        match alarm.key.kind {
            Kind::AsteriskUnreachable => (
                format!("нет связи с Asterisk «{node}»"),
                format!(
                    "{detail}\nДля звонков: если Asterisk работает, они идут по его диалплану, но не записываются, пока связь \
                     не вернётся; если не работает, дозвониться нельзя.\nСначала: проверьте, работает ли Asterisk (systemctl \
                     status asterisk), затем выполните: callcenter doctor"
                ),
            ),
            Kind::NoInbound => (
                "нет входящих звонков".to_owned(),
                format!(
                    "{detail}\nДля звонков: возможно, клиенты не могут дозвониться.\nСначала: позвоните на свой номер с \
                     мобильного. Не проходит — посмотрите транк (asterisk -rx 'pjsip show registrations') и звоните \
                     провайдеру."
                ),
            ),
            Kind::TrunkFailures => (
                format!("не проходят исходящие звонки через транк {subject} («{node}»)"),
                format!(
                    "{detail} Занято, нет ответа, отказ и неверный номер не считаются.\nДля звонков: многие через этот транк не \
                     проходят.\nСначала: asterisk -rx 'pjsip show endpoints', затем провайдер: регистрация, баланс, число \
                     линий."
                ),
            ),
            Kind::DiskLow => (
                format!("мало места на диске ({})", if subject == "journal" { "журнал" } else { "база данных" }),
                format!(
                    "{detail}\nДля звонков: они идут. Когда место кончится, запись прекратится и останется \
                     пробел.\nСначала: найдите, что растёт (df -h; du -xh / | sort -h | tail), и освободите место."
                ),
            ),
            Kind::WriterBehind => (
                format!("база данных отстаёт («{node}»)"),
                format!(
                    "{detail}\nДля звонков: они идут. Услышанное ждёт в журнале и не теряется, пока он не полон; в базе звонки \
                     появляются с опозданием.\nСначала: выполните callcenter doctor. Обычные причины: диск полон или \
                     медленный, другая программа держит базу заблокированной."
                ),
            ),
        }
    }

    fn cleared(alarm: &Alarm, lasted: &str) -> String {
        let rest = match alarm.key.kind {
            Kind::AsteriskUnreachable => "Связь есть. Пропущенное за это время — пробел в записи.",
            Kind::NoInbound => "Пришёл входящий звонок.",
            Kind::TrunkFailures => "Звонки снова проходят.",
            Kind::DiskLow => "Место снова есть.",
            Kind::WriterBehind => "Всё услышанное записано в базу.",
        };
        format!("Длилось {lasted}. {rest}")
    }

    fn gaps(gaps: &Gaps, from: &str, to: &str) -> (String, String) {
        let nodes = gaps.nodes.iter().cloned().collect::<Vec<_>>().join(", ");
        let reasons = gaps.reasons.iter().cloned().collect::<Vec<_>>().join("; ");
        let (what, all) = match gaps.count {
            1 => ("в записи".to_owned(), Self::span(gaps.seconds)),
            many => (format!("в записи ({many} шт.)"), format!("всего {}", Self::span(gaps.seconds))),
        };
        let body = format!(
            "С {from} по {to}, {all}: {reasons}.\nДля звонков: в Asterisk они шли. Задето известных звонков: {}, они помечены как \
             неполные; звонки, целиком попавшие в пробел, не записаны.\nСначала: ничего срочного. Если повторится, выполните: \
             callcenter doctor. Каждый пробел — строка в таблице `gaps`.",
            gaps.calls
        );
        (format!("ПРОБЕЛ {what}: «{nodes}»"), body)
    }

    fn test() -> (String, String) {
        let body = "Это сообщение отправлено командой `callcenter alarms test`. Тревоги будут приходить сюда же. Ничего не \
                    случилось.";
        ("ПРОВЕРКА: тревоги доходят".to_owned(), body.to_owned())
    }
}

fn detail(detail: &Detail) -> String {
    match detail {
        Detail::Error(error) => format!("Что сообщает: {error}."),
        Detail::Minutes(minutes) => format!("Минут рабочего времени без звонков снаружи: {minutes}."),
        Detail::Calls { ended, failed } => format!("Не прошло {failed} из последних {ended} звонков."),
        Detail::Free { mb, folder } => format!("Свободно {mb} МиБ ({folder})."),
        Detail::Behind { seconds, error: None } => format!("Отстаёт на {} или больше.", Ru::span(*seconds as f64)),
        Detail::Behind { seconds, error: Some(error) } => {
            format!("Отстаёт на {} или больше: база ничего не принимает: {error}.", Ru::span(*seconds as f64))
        }
    }
}
