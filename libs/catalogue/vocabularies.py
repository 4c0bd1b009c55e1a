"""Which codes each provider speaks."""

# Vocabularies that a provider's codes come from, in the order in which they are tried. A provider
# that is not here has one vocabulary of its own name.
VOCABULARIES: dict[str, tuple[str, ...]] = {
    "meta": ("whatsapp_cloud", "whatsapp_onprem"),
    "dialog360": ("whatsapp_cloud", "whatsapp_onprem"),
    # Gupshup passes WhatsApp's codes on, also those of the old On-Premises hosting.
    "gupshup": ("gupshup", "whatsapp_cloud", "whatsapp_onprem"),
    "twilio": ("twilio",),
    "infobip": ("infobip_error", "infobip_status", "smtp_enhanced"),
    "vonage": ("vonage_messages", "vonage_dlr", "vonage_sms"),
    # Conversations pass WhatsApp's own codes through; SMS codes are the network's (3GPP 29.002).
    "messagebird": ("messagebird", "whatsapp_cloud", "whatsapp_onprem"),
    "sinch": ("sinch_conversation", "sinch_sms"),
    "sendgrid": ("sendgrid", "smtp_enhanced", "smtp_basic"),
    "ses": ("ses", "smtp_enhanced", "smtp_basic"),
    "mailgun": ("mailgun", "smtp_enhanced", "smtp_basic"),
    "postmark": ("postmark", "smtp_enhanced", "smtp_basic"),
    # Resend sends through SES and tells its words.
    "resend": ("resend", "ses", "smtp_enhanced", "smtp_basic"),
    "brevo": ("brevo", "smtp_enhanced", "smtp_basic"),
    "azure": ("azure", "whatsapp_cloud", "smtp_enhanced", "smtp_basic"),
    # Of these no code can be another source's. Clickatell's and Plivo's are small numbers, so they
    # are looked up in their own vocabulary where the source is known.
    "generic": ("africastalking", "telnyx", "bandwidth"),
}
