"""Identifiers of countries that Presidio's recognisers find, by name: a worker makes chains of them without Presidio,
and the process that has it makes the recognisers.
"""

from __future__ import annotations

from typing import Final

COUNTRIES: Final[dict[str, dict[str, str]]] = {
    "Australia": {
        "AU_ABN": "AuAbnRecognizer",
        "AU_ACN": "AuAcnRecognizer",
        "AU_MEDICARE": "AuMedicareRecognizer",
        "AU_TFN": "AuTfnRecognizer",
    },
    "Canada": {
        "CA_POSTAL_CODE": "CaPostalCodeRecognizer",
        "CA_SIN": "CaSinRecognizer",
    },
    "Finland": {
        "FI_PERSONAL_IDENTITY_CODE": "FiPersonalIdentityCodeRecognizer",
    },
    "Germany": {
        "DE_BSNR": "DeBsnrRecognizer",
        "DE_FUEHRERSCHEIN": "DeFuehrerscheinRecognizer",
        "DE_HANDELSREGISTER": "DeHandelsregisterRecognizer",
        "DE_HEALTH_INSURANCE": "DeHealthInsuranceRecognizer",
        "DE_ID_CARD": "DeIdCardRecognizer",
        "DE_KFZ": "DeKfzRecognizer",
        "DE_LANR": "DeLanrRecognizer",
        "DE_PASSPORT": "DePassportRecognizer",
        "DE_PLZ": "DePlzRecognizer",
        "DE_SOCIAL_SECURITY": "DeSocialSecurityRecognizer",
        "DE_TAX_ID": "DeTaxIdRecognizer",
        "DE_TAX_NUMBER": "DeTaxNumberRecognizer",
        "DE_VAT_ID": "DeVatIdRecognizer",
    },
    "India": {
        "IN_AADHAAR": "InAadhaarRecognizer",
        "IN_GSTIN": "InGstinRecognizer",
        "IN_PAN": "InPanRecognizer",
        "IN_PASSPORT": "InPassportRecognizer",
        "IN_VEHICLE_REGISTRATION": "InVehicleRegistrationRecognizer",
        "IN_VOTER": "InVoterRecognizer",
    },
    "Italy": {
        "IT_DRIVER_LICENSE": "ItDriverLicenseRecognizer",
        "IT_FISCAL_CODE": "ItFiscalCodeRecognizer",
        "IT_IDENTITY_CARD": "ItIdentityCardRecognizer",
        "IT_PASSPORT": "ItPassportRecognizer",
        "IT_VAT_CODE": "ItVatCodeRecognizer",
    },
    "Korea": {
        "KR_BRN": "KrBrnRecognizer",
        "KR_DRIVER_LICENSE": "KrDriverLicenseRecognizer",
        "KR_FRN": "KrFrnRecognizer",
        "KR_PASSPORT": "KrPassportRecognizer",
        "KR_RRN": "KrRrnRecognizer",
    },
    "Nigeria": {
        "NG_NIN": "NgNinRecognizer",
        "NG_VEHICLE_REGISTRATION": "NgVehicleRegistrationRecognizer",
    },
    "Philippines": {
        "PH_PASSPORT": "PhPassportRecognizer",
        "PH_TIN": "PhTinRecognizer",
        "PH_UMID": "PhUmidRecognizer",
    },
    "Poland": {
        "PL_PESEL": "PlPeselRecognizer",
    },
    "Singapore": {
        "SG_NRIC_FIN": "SgFinRecognizer",
        "SG_UEN": "SgUenRecognizer",
    },
    "South Africa": {
        "ZA_COMPANY_REGISTRATION": "ZaCompanyRegistrationRecognizer",
        "ZA_DRIVER_LICENSE": "ZaDriverLicenseRecognizer",
        "ZA_ID_NUMBER": "ZaIdNumberRecognizer",
        "ZA_INCOME_TAX_NUMBER": "ZaIncomeTaxNumberRecognizer",
        "ZA_LICENSE_PLATE": "ZaLicensePlateRecognizer",
        "ZA_PASSPORT": "ZaPassportRecognizer",
        "ZA_TRAFFIC_REGISTER_NUMBER": "ZaTrafficRegisterNumberRecognizer",
        "ZA_VAT_NUMBER": "ZaVatNumberRecognizer",
    },
    "Spain": {
        "ES_NIE": "EsNieRecognizer",
        "ES_NIF": "EsNifRecognizer",
        "ES_PASSPORT": "EsPassportRecognizer",
    },
    "Sweden": {
        "SE_ORGANISATIONSNUMMER": "SeOrganisationsnummerRecognizer",
        "SE_PERSONNUMMER": "SePersonnummerRecognizer",
    },
    "Thailand": {
        "TH_TNIN": "ThTninRecognizer",
    },
    "Turkey": {
        "TR_LICENSE_PLATE": "TrLicensePlateRecognizer",
        "TR_NATIONAL_ID": "TrNationalIdRecognizer",
    },
    "United Kingdom": {
        "UK_DRIVING_LICENCE": "UkDrivingLicenceRecognizer",
        "UK_NHS": "NhsRecognizer",
        "UK_NINO": "UkNinoRecognizer",
        "UK_PASSPORT": "UkPassportRecognizer",
        "UK_POSTCODE": "UkPostcodeRecognizer",
        "UK_VEHICLE_REGISTRATION": "UkVehicleRegistrationRecognizer",
    },
    "United States": {
        "ABA_ROUTING_NUMBER": "AbaRoutingRecognizer",
        "MEDICAL_LICENSE": "MedicalLicenseRecognizer",
        "US_CLAIM_NUMBER": "UsClaimNumberRecognizer",
        "US_HEALTH_INSURANCE_MEMBER_ID": "UsHealthInsuranceMemberIdRecognizer",
        "US_ITIN": "UsItinRecognizer",
        "US_MBI": "UsMbiRecognizer",
        "US_NPI": "UsNpiRecognizer",
        "US_PRESCRIPTION_NUMBER": "UsPrescriptionNumberRecognizer",
        "US_PRIOR_AUTHORIZATION_NUMBER": "UsPriorAuthorizationNumberRecognizer",
        "US_PROVIDER_TAX_ID": "UsProviderTaxIdRecognizer",
        "US_REFERRAL_NUMBER": "UsReferralNumberRecognizer",
    },
    "anywhere": {
        "UUID": "UuidRecognizer",
    },
}
"""By country: each entity, and the class of its recogniser. What is not here of the United States (SSN, passport,
driver's licence, bank account) has patterns of ours.
"""

IDENTIFIERS: Final = {entity: name for country in COUNTRIES.values() for entity, name in country.items()}
"""Each entity, and the class of its recogniser."""
